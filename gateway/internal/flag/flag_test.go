package flag_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

type world struct {
	*flag.Flags
	t     testing.TB
	clock *storetest.Clock
	fault *storetest.Faulty
	store *store.Store
}

func newWorld(t testing.TB, c flag.Config) *world {
	t.Helper()
	w := &world{
		t:     t,
		clock: storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
		fault: storetest.NewFaulty(storetest.Memory(t)),
	}
	w.store = store.New(w.fault, w.clock.Now)
	w.Flags = w.open(c)
	return w
}

// open opens the flags as another gateway would.
func (w *world) open(c flag.Config) *flag.Flags {
	w.t.Helper()
	c.Now = w.clock.Now
	f, err := flag.Open(w.t.Context(), w.store, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *world) set(tenant, name string, value bool) {
	w.t.Helper()
	if err := w.Set(w.t.Context(), tenant, name, value, "root/admin"); err != nil {
		w.t.Fatal(err)
	}
}

func want(t *testing.T, f *flag.Flags, tenant, name string, on bool) {
	t.Helper()
	got, err := f.On(t.Context(), tenant, name)
	if err != nil || got != on {
		t.Errorf("On(%s, %s) = %v, %v; want %v", tenant, name, got, err, on)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, flag.Config{})
	for name, on := range map[string]bool{
		"custom_apps": false, "plugins": false, "webauthn": true, "script_extensions": true,
		"identity_pools_self_registration": true, "dynamic_client_registration": true, "token_exchange": true, "dpop": true, "client_secrets_stored_as_one_way_hash": false,
	} {
		want(t, w.Flags, "acme", name, on)
	}
	for _, d := range flag.Known() {
		if d.Title == "" || d.Description == "" || d.Stage == "" || d.Owner == "" {
			t.Errorf("%s is not described", d.Name)
		}
	}
	if len(flag.Known()) != 9 {
		t.Errorf("%d flags are declared; this test knows 9", len(flag.Known()))
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	var told []string
	w := newWorld(t, flag.Config{
		Defaults: map[string]bool{flag.Plugins: true},
		Changed: func(_ context.Context, tenant, name string) error {
			told = append(told, tenant+" "+name)
			return nil
		},
	})
	want(t, w.Flags, "acme", flag.Plugins, true) // the configuration's default
	w.set("acme", flag.Plugins, false)
	w.set("acme", flag.CustomApps, true)
	want(t, w.Flags, "acme", flag.Plugins, false)
	want(t, w.Flags, "acme", flag.CustomApps, true)
	want(t, w.Flags, "other", flag.Plugins, true)
	want(t, w.Flags, "other", flag.CustomApps, false)
	w.clock.Advance(time.Minute)
	w.set("acme", flag.CustomApps, false) // can be switched off again
	want(t, w.Flags, "acme", flag.CustomApps, false)
	if diff := cmp.Diff([]string{"acme plugins", "acme custom_apps", "acme custom_apps"}, told); diff != "" {
		t.Errorf("announced (-want +got):\n%s", diff)
	}

	list, err := w.List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	known := flag.Known()
	known[1].Default = true
	if len(list) != len(known) {
		t.Fatalf("%d flags, want %d", len(list), len(known))
	}
	wanted := map[string]flag.Value{
		flag.CustomApps: {Declaration: known[0], Set: true, By: "root/admin", At: w.clock.Now()},
		flag.Plugins:    {Declaration: known[1], Set: true, By: "root/admin", At: w.clock.Now().Add(-time.Minute)},
		flag.WebAuthn:   {Declaration: known[2], On: true},
	}
	for i, v := range list {
		if v.Name != known[i].Name {
			t.Errorf("flag %d is %s, want %s", i, v.Name, known[i].Name)
		}
		if expect, ok := wanted[v.Name]; ok {
			if diff := cmp.Diff(expect, v); diff != "" {
				t.Errorf("%s (-want +got):\n%s", v.Name, diff)
			}
		}
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, flag.Config{})
	check := func(what string, err error) {
		t.Helper()
		if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.Read(err).Public, "custom_apps, plugins") {
			t.Errorf("%s: %v, want fault.NotFound naming the known flags", what, err)
		}
	}
	on, err := w.On(t.Context(), "acme", "custom_app")
	check("On", err)
	if on {
		t.Error("an unknown flag is on")
	}
	check("Set", w.Set(t.Context(), "acme", "", true, "me"))
	check("Set", w.Set(t.Context(), "acme", strings.Repeat("x", 1000), true, "me"))
	_, err = flag.Open(t.Context(), w.store, flag.Config{Defaults: map[string]bool{"custom_app": true}})
	check("Open", err)
}

func declared() []flag.Declaration {
	return []flag.Declaration{
		{Name: "base"},
		{Name: "free", Default: true},
		{Name: "middle", Requires: []string{"base"}},
		{Name: "top", Requires: []string{"middle", "free"}},
	}
}

func TestRequires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, flag.Config{Declarations: declared()})
	refused := func(name string, value bool, because string) {
		t.Helper()
		err := w.Set(t.Context(), "acme", name, value, "me")
		if !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Read(err).Public, because) {
			t.Errorf("Set(%s, %v) = %v, want fault.Unprocessable naming %s", name, value, err, because)
		}
	}
	refused("middle", true, "base")
	refused("top", true, "middle")
	w.set("acme", "base", true)
	w.set("acme", "middle", true)
	w.set("acme", "top", true)
	refused("base", false, "middle")
	refused("free", false, "top")
	refused("middle", false, "top")
	want(t, w.Flags, "acme", "top", true)
	w.set("acme", "top", false)
	w.set("acme", "middle", false)
	w.set("acme", "base", false)
}

// A tenant's values were right until the configuration's defaults changed.
func TestOnNeedsWhatItRequires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, flag.Config{Declarations: declared(), Defaults: map[string]bool{"base": true}})
	w.set("acme", "middle", true)
	want(t, w.Flags, "acme", "middle", true)
	later := w.open(flag.Config{Declarations: declared()})
	want(t, later, "acme", "middle", false)
	if err := later.Set(t.Context(), "acme", "top", true, "me"); !fault.Is(err, fault.Unprocessable) {
		t.Errorf("Set(top) = %v, want fault.Unprocessable", err)
	}
}

func TestDeclarationsAreChecked(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for name, list := range map[string][]flag.Declaration{
		"twice":     {{Name: "a"}, {Name: "a"}},
		"no name":   {{}},
		"later":     {{Name: "a", Requires: []string{"b"}}, {Name: "b"}},
		"itself":    {{Name: "a", Requires: []string{"a"}}},
		"elsewhere": {{Name: "a", Requires: []string{"c"}}},
	} {
		if _, err := flag.Open(t.Context(), s, flag.Config{Declarations: list}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Of one that switches a requirement off and one that comes to need it, one
// loses, on whatever gateways they are.
func TestSetRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, flag.Config{Declarations: declared()})
	other := w.open(flag.Config{Declarations: declared()})
	w.set("acme", "base", true)
	for round := range 50 {
		var up, down error
		var wg sync.WaitGroup
		wg.Go(func() { up = w.Set(t.Context(), "acme", "middle", true, "a") })
		wg.Go(func() { down = other.Set(t.Context(), "acme", "base", false, "b") })
		wg.Wait()
		if (up == nil) == (down == nil) {
			t.Fatalf("round %d: middle on: %v, base off: %v; want one of them refused", round, up, down)
		}
		w.set("acme", "middle", false)
		w.set("acme", "base", true)
	}
}

func TestFirstSetRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, flag.Config{})
	var wg sync.WaitGroup
	for _, d := range flag.Known() {
		wg.Go(func() {
			if err := w.Set(t.Context(), "acme", d.Name, !d.Default, "me"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, d := range flag.Known() {
		want(t, w.Flags, "acme", d.Name, !d.Default)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t, flag.Config{})
	other := w.open(flag.Config{})
	want(t, w.Flags, "acme", flag.CustomApps, false)
	reads := w.fault.Calls(storetest.OpGet)
	for range 100 {
		want(t, w.Flags, "acme", flag.WebAuthn, true)
	}
	if n := w.fault.Calls(storetest.OpGet); n != reads {
		t.Errorf("a cached tenant was read %d times", n-reads)
	}
	if err := other.Set(t.Context(), "acme", flag.CustomApps, true, "me"); err != nil {
		t.Fatal(err)
	}
	w.Drop("other")
	want(t, w.Flags, "acme", flag.CustomApps, false) // not told yet
	w.Drop("acme")
	want(t, w.Flags, "acme", flag.CustomApps, true)
	if err := other.Set(t.Context(), "acme", flag.CustomApps, false, "me"); err != nil {
		t.Fatal(err)
	}
	w.Drop("") // all
	want(t, w.Flags, "acme", flag.CustomApps, false)
	if err := other.Set(t.Context(), "acme", flag.CustomApps, true, "me"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(30 * time.Second) // the news was lost
	want(t, w.Flags, "acme", flag.CustomApps, true)
}

// A value that was read before it changed must not stay in the cache for having
// arrived after the news.
func TestDropDuringRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, flag.Config{})
	other := w.open(flag.Config{})
	reading, release := make(chan struct{}), make(chan struct{})
	slow := &slowReader{Driver: w.fault, reading: reading, release: release}
	f, err := flag.Open(t.Context(), store.New(slow, w.clock.Now), flag.Config{Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { want(t, f, "acme", flag.CustomApps, false) }) // what held when it asked
	<-reading
	if err := other.Set(t.Context(), "acme", flag.CustomApps, true, "me"); err != nil {
		t.Error(err)
	}
	f.Drop("acme")
	close(release)
	wg.Wait()
	want(t, f, "acme", flag.CustomApps, true)
}

// slowReader holds the answer of its first read back.
type slowReader struct {
	store.Driver
	once             sync.Once
	reading, release chan struct{}
}

func (s *slowReader) Get(ctx context.Context, table, tenant, id string, now time.Time) (store.Record, error) {
	rec, err := s.Driver.Get(ctx, table, tenant, id, now)
	s.once.Do(func() {
		close(s.reading)
		<-s.release
	})
	return rec, err
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, flag.Config{})
	w.set("acme", flag.CustomApps, true)
	want(t, w.Flags, "acme", flag.CustomApps, true)
	w.fault.Down(nil)
	if _, err := w.On(t.Context(), "cold", flag.CustomApps); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("On for a cold tenant = %v, want store.ErrUnavailable", err)
	}
	w.clock.Advance(time.Hour)
	reads := w.fault.Calls(storetest.OpGet)
	for range 10 {
		want(t, w.Flags, "acme", flag.CustomApps, true)
	}
	if n := w.fault.Calls(storetest.OpGet) - reads; n != 1 {
		t.Errorf("a store that is down was asked %d times within a second, want once", n)
	}
	if err := w.Set(t.Context(), "acme", flag.CustomApps, false, "me"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Set = %v, want store.ErrUnavailable", err)
	}
	if _, err := w.List(t.Context(), "acme"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("List = %v, want store.ErrUnavailable", err)
	}
	w.fault.Up()
	w.clock.Advance(time.Second)
	want(t, w.Flags, "acme", flag.CustomApps, true)
}

func TestAnnouncingFails(t *testing.T) {
	t.Parallel()
	lost := errors.New("log away")
	w := newWorld(t, flag.Config{Changed: func(context.Context, string, string) error { return lost }})
	if err := w.Set(t.Context(), "acme", flag.CustomApps, true, "me"); !errors.Is(err, lost) {
		t.Errorf("Set = %v, want the announcement's error", err)
	}
	want(t, w.Flags, "acme", flag.CustomApps, true)
}

func BenchmarkOn(b *testing.B) {
	w := newWorld(b, flag.Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if on, err := w.On(b.Context(), "acme", flag.WebAuthn); !on || err != nil {
				b.Error(on, err)
			}
		}
	})
}
