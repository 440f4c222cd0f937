package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/vault"
	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gatepost/gatepost/gateway/internal/web/load"
)

// The session of the stub.
const (
	appHost     = "app.test"
	cookieName  = "gp-0a1b2c3d"
	cookieValue = "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs"
)

func (b *bench) startGatepost(ctx context.Context, up string) (*load.Server, error) {
	if b.url != "" {
		s := &load.Server{Address: b.url}
		if b.host != "" {
			s.Headers = append(s.Headers, "Host: "+b.host)
		}
		if b.cookie != "" {
			s.Headers = append(s.Headers, "Cookie: "+b.cookie)
		}
		return s, nil
	}
	address, err := load.Address("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-role", "gatepost", "-url", address, "-upstream", up}
	if b.profile != "" {
		args = append(args, "-profile", b.profile)
	}
	p, err := b.programs.Launch(ctx, nil, self, args...)
	return &load.Server{Address: "http://" + address + "/", Process: p, Headers: []string{"Host: " + appHost, "Cookie: " + cookieName + "=" + cookieValue}}, err
}

// serveGatepost is the measured process: the edge and the proxy as the gateway
// joins them, over a stub of the sign-in side.
func serveGatepost(ctx context.Context, o options, log io.Writer) error {
	r := route.Route{
		Tenant: "bench", Workspace: "web", Source: route.FromFile, Host: appHost, PathPrefix: "/", Upstream: "http://" + o.upstream, Assertion: true,
	}
	table, bad := route.Compile(route.Source{Scheme: "http", Routes: []route.Route{r.Normal()}})
	if len(bad) > 0 {
		return bad[0]
	}
	server := web.New(web.Config{NoAccessLog: true})
	p := proxy.New(proxy.Config{Table: func() *route.Table { return table }, Door: newStub(), Errors: server.Errors()})
	defer p.Close()
	hosts := web.Hosts{Own: func() []string { return []string{"http://id.test"} }, App: p.App}
	server.App().Use(hosts.Handler(server.Errors()))
	ln, err := web.Listen(ctx, web.Listening{Addr: o.url})
	if err != nil {
		return err
	}
	if o.profile != "" {
		stop, err := profile(o.profile)
		if err != nil {
			return err
		}
		defer stop()
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := server.Shutdown(end); err != nil {
			_, _ = fmt.Fprintln(log, err)
		}
	}
	return err
}

func profile(name string) (stop func(), err error) {
	f, err := os.Create(name) //nolint:gosec // the file that the flag names
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

// stub is a sign-in side with one session, as cheap as a cache hit: the cookie
// is hashed and looked up, as the real one does.
type stub struct{ sessions map[string]*proxy.Identity }

var _ proxy.Door = (*stub)(nil)

func newStub() *stub {
	return &stub{sessions: map[string]*proxy.Identity{vault.Hash(cookieValue): {
		Session: "s", Subject: "9b0f4c1c4bb64f1f8b1d6c3e5a7d2f10", Username: "alice@example.com", Email: "alice@example.com", Name: "Alice", Groups: []string{"staff", "ops"},
		Expires: time.Now().Add(24 * time.Hour), Tenant: "bench", Workspace: "web",
	}}}
}

// CookieName implements proxy.Door, as all below.
func (*stub) CookieName(*route.Route) string { return cookieName }

// Session looks the cookie up.
func (s *stub) Session(_ context.Context, _ *route.Route, cookies []string) (*proxy.Identity, error) {
	for _, c := range cookies {
		if id := s.sessions[vault.Hash(c)]; id != nil {
			return id, nil
		}
	}
	return nil, fault.New(fault.Unauthenticated, "You are not signed in.", nil)
}

// Bearer knows no token.
func (*stub) Bearer(context.Context, *route.Route, string) (*proxy.Identity, error) {
	return nil, fault.New(fault.Unauthenticated, "There are no tokens here.", nil)
}

// Begin is not measured.
func (*stub) Begin(context.Context, *route.Route, string, proxy.Browser) (proxy.Redirect, error) {
	return proxy.Redirect{Location: "/"}, nil
}

// Callback is not measured.
func (*stub) Callback(context.Context, *route.Route, url.Values, proxy.Browser) (proxy.Redirect, error) {
	return proxy.Redirect{Location: "/"}, nil
}

// SignOut is not measured.
func (*stub) SignOut(context.Context, *route.Route, *proxy.Identity, proxy.Browser) (proxy.Redirect, error) {
	return proxy.Redirect{Location: "/"}, nil
}

// Assertion returns a text as long as a real one.
func (*stub) Assertion(context.Context, *proxy.Identity, string) (string, error) {
	return strings.Repeat("eyJhbGciOiJFUzI1NiJ9", 30), nil
}

// Watch watches nothing: the session does not end.
func (*stub) Watch(*proxy.Identity, func()) func() { return func() {} }
