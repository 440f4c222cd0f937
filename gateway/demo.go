package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	demoapp "github.com/gatepost/gatepost/examples/demo-app/demoapp"
	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// DemoConfig says where a demo runs.
type DemoConfig struct {
	config.Config
	Listen  string    // loopback address
	Data    string    // directory, made when missing
	Out     io.Writer // what the person at the terminal is told
	Version string    // of the program, for metrics and health
	Log     *slog.Logger

	driver store.Driver // see Config
}

// Demo runs a gateway with known users and a protected app on loopback until
// ctx ends. What it is good for it writes to demo.json in the data directory.
func Demo(ctx context.Context, c DemoConfig) error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return errors.New("--listen: the demo has known passwords, so it listens on a loopback address only, such as 127.0.0.1:8080")
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	public, err := web.Listen(ctx, web.Listening{Addr: c.Listen})
	if err != nil {
		return err
	}
	app, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, closeAll(public))
	}
	g, about, err := openDemo(ctx, c, public, app)
	if err != nil {
		return errors.Join(err, closeAll(public, app))
	}
	handler, err := demoapp.New()
	if err != nil {
		return errors.Join(err, g.Close(), app.Close())
	}
	if err := announce(c, about); err != nil {
		return errors.Join(err, g.Close(), app.Close())
	}
	return runDemo(ctx, g, app, handler)
}

// openDemo opens a gateway with the demo's users. An error leaves nothing of it
// open.
func openDemo(ctx context.Context, c DemoConfig, public, app net.Listener) (*Gateway, setup.Demo, error) {
	_, port, err := net.SplitHostPort(public.Addr().String())
	if err != nil {
		return nil, setup.Demo{}, err
	}
	cfg := c.Config
	cfg.BaseURL = "http://localhost:" + port
	cfg.Extensions.BaseURL = "http://ext.localhost:" + port
	cfg.DataDir = config.Path(c.Data)
	cfg.Store.Path, cfg.Keys.File = "", ""
	cfg.Listen.Public.Address = public.Addr().String()
	cfg.Mail = config.Mail{Driver: config.Directory, Directory: config.Path(filepath.Join(c.Data, "mail")), From: cfg.Mail.From}
	if cfg, err = config.Finish(cfg); err != nil {
		return nil, setup.Demo{}, err
	}
	if err := os.MkdirAll(string(cfg.Mail.Directory), 0o700); err != nil {
		return nil, setup.Demo{}, err
	}
	if err := demoKeys(cfg); err != nil {
		return nil, setup.Demo{}, err
	}
	g, err := New(ctx, Config{Config: cfg, Listener: public, Version: c.Version, Log: c.Log, demo: true, driver: c.driver})
	if err != nil {
		return nil, setup.Demo{}, err
	}
	about, err := g.setup.Demo(ctx, setup.DemoConfig{
		Base: cfg.BaseURL, AppHost: "app.localhost:" + port, AppUpstream: "http://" + app.Addr().String(),
	})
	if err != nil {
		return nil, about, errors.Join(err, g.Close())
	}
	debug.FreeOSMemory() // hashing the passwords took more than the rest of the start
	about.Listen, about.AppURL, about.MailDir = public.Addr().String(), "http://app.localhost:"+port, string(cfg.Mail.Directory)
	if err := g.routes.Load(ctx); err != nil {
		return nil, about, errors.Join(err, g.Close())
	}
	return g, about, nil
}

// demoKeys makes the key ring of a demo on MongoDB, where a real installation
// makes its own.
func demoKeys(c config.Config) error {
	if c.Store.Driver != config.Mongo {
		return nil
	}
	c.Store.Driver = config.Embedded
	_, err := openRing(c)
	return err
}

// announce writes demo.json and tells the person at the terminal what to open.
func announce(c DemoConfig, about setup.Demo) error {
	raw, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(c.Data, "demo.json")
	if err := writeWhole(path, append(raw, '\n')); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Out, `Gatepost demo, on this machine only. Known passwords: never let others reach it.

  A protected app   %s
  Your account      %s/%s/%s/app

`, about.AppURL, about.BaseURL, about.Tenant, about.Workspace)
	for _, u := range about.Users {
		_, err = fmt.Fprintf(c.Out, "  Sign in as        %-20s password  %s\n", u.Identifier, u.Password)
	}
	_, err2 := fmt.Fprintf(c.Out, "\n  Addresses and clients for programs: %s\n  Data: %s. Stop with Ctrl-C.\n", path, c.Data)
	return errors.Join(err, err2)
}

// writeWhole writes a private file so that readers see all of it or nothing.
func writeWhole(path string, raw []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func runDemo(ctx context.Context, g *Gateway, app net.Listener, handler http.Handler) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return g.Run(running) })
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	group.Go(func() error {
		stop := context.AfterFunc(running, func() { _ = srv.Close() })
		defer stop()
		if err := srv.Serve(app); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return group.Wait()
}
