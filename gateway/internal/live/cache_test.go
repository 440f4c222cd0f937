package live_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// world is a configuration store that the test turns.
type world struct {
	*live.Cache
	clock  *storetest.Clock
	reads  atomic.Int64
	name   atomic.Value           // string: what the store says
	fail   atomic.Value           // errBox
	during atomic.Pointer[func()] // runs while a snapshot is read
}

type errBox struct{ err error }

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{clock: storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	w.name.Store("one")
	w.fail.Store(errBox{})
	var err error
	w.Cache, err = live.New(live.Config{
		Workspace: func(_ context.Context, k tenant.Key) (tenant.Workspace, error) {
			name, err := w.read()
			return tenant.Workspace{TenantID: k.Tenant, ID: k.Workspace, Name: name, Epoch: "e"}, err
		},
		IDPs: func(context.Context, string, string) ([]idp.IDP, error) {
			return []idp.IDP{
				{ID: "c", Name: "C", DisplayOrder: 1}, {ID: "off", Disabled: true}, {ID: "b", Name: "B"}, {ID: "a", Name: "A"},
			}, nil
		},
		Scopes: func(context.Context, tenant.Key) ([]client.Scope, error) {
			return []client.Scope{{Name: "openid"}}, nil
		},
		Claims: func(context.Context, tenant.Key) ([]client.Claim, error) { return nil, nil },
		Client: func(_ context.Context, tenantID, id string) (client.Client, error) {
			name, err := w.read()
			return client.Client{TenantID: tenantID, ClientID: id, ClientName: name}, err
		},
		Now: w.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) read() (string, error) {
	w.reads.Add(1)
	name, _ := w.name.Load().(string)
	box, _ := w.fail.Load().(errBox)
	if fn := w.during.Swap(nil); fn != nil {
		(*fn)()
	}
	return name, box.err
}

func (w *world) space(t testing.TB) string {
	t.Helper()
	s, err := w.Space(t.Context(), "t", "w")
	if err != nil {
		t.Fatal(err)
	}
	return s.Name
}

func (w *world) client(t testing.TB) string {
	t.Helper()
	c, err := w.Client(t.Context(), "t", "c")
	if err != nil {
		t.Fatal(err)
	}
	return c.ClientName
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, err := w.Space(t.Context(), "t", "w")
	if err != nil {
		t.Fatal(err)
	}
	order := ""
	for _, p := range s.IDPs {
		order += p.ID
	}
	if _, off := s.IDP("off"); order != "abc" || off {
		t.Errorf("IDPs %s", order)
	}
	for range 10 {
		w.space(t)
	}
	if w.reads.Load() != 1 {
		t.Errorf("%d reads", w.reads.Load())
	}
	w.name.Store("two")
	w.clock.Advance(31 * time.Second)
	if got := w.space(t); got != "two" {
		t.Errorf("after the recheck: %s", got)
	}
}

// TestApply is which entries of the change log drop what.
func TestApply(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		entries       []changes.Entry
		space, client string
	}{
		"its workspace":        {[]changes.Entry{{Kind: changes.KindWorkspace, Tenant: "t", Workspace: "w"}}, "two", "one"},
		"another workspace":    {[]changes.Entry{{Kind: changes.KindWorkspace, Tenant: "t", Workspace: "x"}}, "one", "one"},
		"its IDP":              {[]changes.Entry{{Kind: changes.KindIDP, Tenant: "t", Workspace: "w", ID: "a"}}, "two", "one"},
		"a pool of its tenant": {[]changes.Entry{{Kind: changes.KindPool, Tenant: "t", ID: "p"}}, "two", "one"},
		"its tenant":           {[]changes.Entry{{Kind: changes.KindTenant, Tenant: "t", ID: "t"}}, "two", "one"},
		"another tenant":       {[]changes.Entry{{Kind: changes.KindTenant, Tenant: "u", ID: "u"}}, "one", "one"},
		"the client":           {[]changes.Entry{{Kind: changes.KindClient, Tenant: "t", Workspace: "x", ID: "c"}}, "one", "two"},
		"a user":               {[]changes.Entry{{Kind: changes.KindUser, Tenant: "t", ID: "p/u"}}, "one", "one"},
		"nothing":              {[]changes.Entry{}, "one", "one"},
		"perhaps missed some":  {nil, "two", "two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.space(t)
			w.client(t)
			w.name.Store("two")
			w.Apply(tc.entries)
			if s, c := w.space(t), w.client(t); s != tc.space || c != tc.client {
				t.Errorf("workspace %s, client %s", s, c)
			}
		})
	}
}

// A change while a snapshot is being made must not leave the old one behind.
func TestChangeDuringARead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	change := func() {
		w.name.Store("two")
		w.Apply([]changes.Entry{{Kind: changes.KindWorkspace, Tenant: "t", Workspace: "w"}})
	}
	w.during.Store(&change)
	if got := w.space(t); got != "one" {
		t.Fatalf("the read came before: %s", got)
	}
	if got := w.space(t); got != "two" {
		t.Errorf("the old snapshot stays: %s", got)
	}
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.space(t)
	w.fail.Store(errBox{store.ErrUnavailable})
	w.clock.Advance(time.Hour)
	if got := w.space(t); got != "one" {
		t.Errorf("served %s", got)
	}
	if _, err := w.Space(t.Context(), "t", "other"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("an unknown one: %v", err)
	}
	w.fail.Store(errBox{})
	w.name.Store("two")
	if got := w.space(t); got != "two" {
		t.Errorf("back again: %s", got)
	}
}

func TestNotFoundDrops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.space(t)
	w.fail.Store(errBox{fault.New(fault.NotFound, "gone", nil)})
	w.clock.Advance(31 * time.Second)
	if _, err := w.Space(t.Context(), "t", "w"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("%v", err)
	}
	w.fail.Store(errBox{store.ErrUnavailable})
	if _, err := w.Space(t.Context(), "t", "w"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a deleted workspace came back: %v", err)
	}
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	s := &live.Space{Workspace: tenant.Workspace{AccessTokenTTL: store.Duration(time.Minute)}}
	plain := &client.Client{TokenTTLs: client.TokenTTLs{AccessToken: store.Duration(time.Second)}}
	own := &client.Client{UseCustomTokenTTLs: true, TokenTTLs: client.TokenTTLs{
		AccessToken: store.Duration(time.Second), AuthorizationCode: store.Duration(2 * time.Second), RefreshToken: store.Duration(10_000 * time.Hour),
	}}
	for name, got := range map[string][2]time.Duration{
		"the workspace's":  {s.AccessTTL(plain), time.Minute},
		"the client's":     {s.AccessTTL(own), time.Second},
		"a code's":         {s.CodeTTL(own), 2 * time.Second},
		"a code's default": {s.CodeTTL(plain), 10 * time.Minute},
		"no longer than a revocation is remembered": {s.RefreshTTL(own), live.MaxLife},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %v, want %v", name, got[0], got[1])
		}
	}
}
