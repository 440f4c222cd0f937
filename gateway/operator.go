package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// maxSocket is the longest path of a Unix socket that every system takes.
const maxSocket = 103

// operatorSocket is where commands on the machine reach the running gateway.
// Whoever may open it may set the gateway up: it lies in the data directory
// with mode 0600.
func operatorSocket(c config.Config) string { return filepath.Join(string(c.DataDir), "operator.sock") }

func (g *Gateway) listenOperator(ctx context.Context) error {
	path := operatorSocket(g.cfg.Config)
	if len(path) > maxSocket {
		return fmt.Errorf("data_dir: %s is too long: the path of a socket in it may have %d bytes", g.cfg.DataDir, maxSocket)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := removeStale(ctx, path); err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("operator socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("operator socket: %w", err), ln.Close())
	}
	g.operator = peers{ln}
	return nil
}

// removeStale removes a socket that a killed gateway left behind; one that
// answers belongs to a running one.
func removeStale(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("another gateway runs on %s", filepath.Dir(path))
	}
	return os.Remove(path)
}

// SetupAnswers are the answers to the first set-up.
type SetupAnswers struct {
	TenantID   string `json:"tenant_id"`
	TenantName string `json:"tenant_name,omitempty"`
	Identifier string `json:"identifier,omitempty"` // of the first operator; empty: none
	Password   string `json:"password,omitempty"`
}

// SetupResult is what the first set-up made. The secrets are shown once.
type SetupResult = setup.ClientFile

// Client is an API client of a SetupResult.
type Client = setup.FileClient

func (g *Gateway) operatorHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /setup-link", func(w http.ResponseWriter, r *http.Request) {
		link, err := g.setupLink(r.Context())
		answerOperator(w, map[string]string{"link": link}, err)
	})
	mux.HandleFunc("POST /setup", func(w http.ResponseWriter, r *http.Request) {
		result, err := g.setUp(r)
		answerOperator(w, result, err)
	})
	g.operatorUsers(mux)
	return mux
}

func (g *Gateway) setUp(r *http.Request) (SetupResult, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return SetupResult{}, err
	}
	var a SetupAnswers
	if err := json.Unmarshal(raw, &a); err != nil {
		return SetupResult{}, fault.New(fault.Invalid, "The answers are not JSON.", err)
	}
	done, err := g.setup.Unattended(r.Context(), setup.Answers{
		TenantID: a.TenantID, TenantName: a.TenantName, Identifier: a.Identifier, Password: a.Password,
	})
	return g.setup.File(&done), err
}

func answerOperator(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		f := fault.Read(err)
		say := f.Public
		if f.Field != "" {
			say = f.Field + ": " + say
		}
		if f.Kind == fault.Internal {
			say = err.Error() // the operator of the machine may know
		}
		w.WriteHeader(web.Status(err))
		v = map[string]string{"error": say}
	}
	_ = json.NewEncoder(w).Encode(v) // the caller is gone, or has its answer
}

// Operator is a client of the gateway that runs on this machine.
type Operator struct {
	socket string
	http   *http.Client
}

// NewOperator returns a client for the gateway with this configuration.
func NewOperator(c config.Config) *Operator {
	path := operatorSocket(c)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &Operator{socket: path, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dial}}}
}

// SetupLink makes a new link for the first set-up.
func (o *Operator) SetupLink(ctx context.Context) (string, error) {
	var answer struct {
		Link string `json:"link"`
	}
	err := o.call(ctx, "/setup-link", struct{}{}, &answer)
	return answer.Link, err
}

// SetUp does the first set-up.
func (o *Operator) SetUp(ctx context.Context, a SetupAnswers) (SetupResult, error) {
	var r SetupResult
	err := o.call(ctx, "/setup", a, &r)
	return r, err
}

func (o *Operator) call(ctx context.Context, path string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://operator"+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	resp, err := o.http.Do(r)
	if err != nil {
		var system syscall.Errno
		if errors.As(err, &system) {
			err = system // the rest would be our own inner addresses
		}
		return fmt.Errorf("no gateway answers at %s: is it running, with this data_dir, as this user? (%w)", o.socket, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var refused struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(body, &refused) == nil && refused.Error != "" {
			return errors.New(refused.Error)
		}
		return fmt.Errorf("the gateway answered %s", resp.Status)
	}
	return json.Unmarshal(body, out)
}
