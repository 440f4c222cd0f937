package live_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// clients answers for the clients of workspace w of tenant t, and counts.
func (w *world) clients(list ...client.Client) *atomic.Int64 {
	var n atomic.Int64
	w.ClientsOf = func(_ context.Context, k tenant.Key) ([]client.Client, error) {
		n.Add(1)
		if k != (tenant.Key{Tenant: "t", Workspace: "w"}) {
			return nil, nil
		}
		return list, nil
	}
	return &n
}

func app(status string, uris ...string) client.Client {
	return client.Client{ClientStatus: status, RedirectURIs: uris}
}

func native(status string, uris ...string) client.Client {
	c := app(status, uris...)
	c.ApplicationType = client.Native
	return c
}

func (w *world) allows(t testing.TB, workspace, origin string) bool {
	t.Helper()
	ok, err := w.AllowsOrigin(t.Context(), "t", workspace, origin)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestAllowsOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.clients(
		app(client.StatusActive, "https://App.example/callback?x=https://query.example", "https://port.example:8443/", "https://plain.example:443/cb",
			"http://localhost:3000/cb", "http://127.0.0.1/cb", "http://[::1]:80/cb", "com.example.app:/cb", "https://name@userinfo.example/"),
		app(client.StatusInactive, "https://inactive.example/cb"),
		native(client.StatusActive, "http://localhost:4000/cb", "com.example.native:/cb", "https://native.example/cb"),
		native(client.StatusInactive, "http://[::1]/cb"),
	)
	for origin, want := range map[string]bool{
		"https://app.example": true, "https://port.example:8443": true, "https://plain.example": true,
		"http://localhost:3000": true, "http://127.0.0.1": true, "http://[::1]": true,

		"": false, "null": false, "*": false, "http": false, "https://": false, "com.example.app:": false, "com.example.app://": false,
		"http://app.example": false, "https://app.example:8443": false, "https://app.example:443": false, "https://app.example/": false,
		"https://APP.example": false, "https://app.example.": false, "https://www.app.example": false, "https://app.example.evil.example": false,
		"https://evilapp.example": false, "https://app.example@evil.example": false, "https://evil.example/https://app.example": false,
		"https://app.example https://evil.example": false, "https://app.example\r\nX: y": false, "https://port.example": false,
		"http://localhost": true, "http://localhost:3001": true, // of the native client
		"https://localhost:3000": false, "http://localhost:": false, "http://localhost:0": false, "http://localhost:65536": false,
		"http://localhost:99/": false, "http://localhost.evil.example": false, "http://localhost:80@evil.example": false, "http://localhost:*": false,
		"http://LOCALHOST:3001": false, "http://127.0.0.1:8080": false, "http://[::1]:8080": false,
		"https://native.example": true, "https://native.example:8443": false,
		"https://query.example": false, "https://userinfo.example": false, "https://name@userinfo.example": false, "https://inactive.example": false,
		"https://app.example" + strings.Repeat("a", 1000): false,
	} {
		if got := w.allows(t, "w", origin); got != want {
			t.Errorf("%.60q: %v", origin, got)
		}
	}
	if w.allows(t, "other", "https://app.example") {
		t.Error("the origin of another workspace's client")
	}
	if n.Load() != 2 {
		t.Errorf("the clients were read %d times, want once for each workspace", n.Load())
	}
}

// An origin that no client has any more is forgotten at once.
func TestOriginsAreReadAgain(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(w *world){
		"a client changed": func(w *world) {
			w.Apply([]changes.Entry{{Kind: changes.KindClient, Tenant: "t", Workspace: "w", ID: "c"}})
		},
		"the tenant changed":  func(w *world) { w.Apply([]changes.Entry{{Kind: changes.KindTenant, Tenant: "t"}}) },
		"changes were missed": func(w *world) { w.Apply(nil) },
		"after a while":       func(w *world) { w.clock.Advance(31 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.clients(app(client.StatusActive, "https://app.example/"))
			if !w.allows(t, "w", "https://app.example") {
				t.Fatal("not allowed")
			}
			w.clients(app(client.StatusInactive, "https://app.example/"))
			forget(w)
			if w.allows(t, "w", "https://app.example") {
				t.Error("still allowed")
			}
		})
	}
}

func TestOriginsOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.clients(app(client.StatusActive, "https://app.example/"))
	w.fail.Store(errBox{fault.New(fault.NotFound, "There is no such workspace.", nil)})
	if w.allows(t, "w", "https://app.example") || n.Load() != 0 {
		t.Errorf("an unknown workspace; its clients were read %d times", n.Load())
	}
	w.fail.Store(errBox{errors.New("away")})
	if ok, err := w.AllowsOrigin(t.Context(), "t", "w", "https://app.example"); ok || err == nil {
		t.Errorf("the store is away: %v, %v", ok, err)
	}
}
