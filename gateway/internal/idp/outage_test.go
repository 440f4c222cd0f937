package idp_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepost/gatepost/gateway/internal/egress"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
)

const (
	discovery = "/.well-known/openid-configuration"
	keysAt    = "/jwks"
)

// huge answers with ten megabytes, without saying so first.
func huge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	chunk := []byte(`{"a":"` + strings.Repeat("x", 1<<20))
	for range 10 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// What a provider that is away or out of its mind does to a sign-in: an answer in
// bounded time, a sentence that says that it is the provider, the reason in the log.
func TestOutages(t *testing.T) {
	t.Parallel()
	status := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	for _, c := range []struct {
		name, path string
		answer     http.HandlerFunc // nil: hangs
		want       idp.Reason
		kind       fault.Kind
	}{
		{"discovery hangs", discovery, nil, idp.ReasonDiscovery, fault.Unavailable},
		{"discovery is huge", discovery, huge, idp.ReasonDiscovery, fault.Unavailable},
		{"discovery fails", discovery, status, idp.ReasonDiscovery, fault.Unavailable},
		{"discovery is no JSON", discovery, text("<html>"), idp.ReasonDiscovery, fault.Unavailable},
		{"discovery of another", discovery, text(`{"issuer":"https://evil.example"}`), idp.ReasonDiscovery, fault.Unavailable},
		{"token endpoint hangs", "/token", nil, idp.ReasonAway, fault.Unavailable},
		{"token endpoint is huge", "/token", huge, idp.ReasonAway, fault.Unavailable},
		{"token endpoint fails", "/token", status, idp.ReasonExchange, fault.BadGateway},
		{"token endpoint is no JSON", "/token", text("access-of-ann"), idp.ReasonExchange, fault.BadGateway},
		{"keys hang", keysAt, nil, idp.ReasonKeys, fault.Unavailable},
		{"keys are huge", keysAt, huge, idp.ReasonKeys, fault.Unavailable},
		{"keys fail", keysAt, status, idp.ReasonKeys, fault.Unavailable},
		{"keys are none", keysAt, text(`{"keys":[{"kty":"oct","k":"eHg"},{"kty":"new"},5]}`), idp.ReasonKeys, fault.Unavailable},
		{"userinfo hangs", "/userinfo", nil, idp.ReasonAway, fault.Unavailable},
		{"userinfo is huge", "/userinfo", huge, idp.ReasonAway, fault.Unavailable},
		{"userinfo fails", "/userinfo", status, idp.ReasonUserinfo, fault.BadGateway},
		{"userinfo is a JWT", "/userinfo", text("eyJ.x.y"), idp.ReasonUserinfo, fault.BadGateway},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newRemoteWorld(t, func(p *idp.IDP) { p.Settings.OIDC.GetUserInfo = true })
			w.remote = w.open(&egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, egress.Limits{Time: 300 * time.Millisecond})
			w.provider.do(func() {
				if w.provider.answer[c.path] = c.answer; c.answer == nil {
					w.provider.hang[c.path] = make(chan struct{})
				}
			})
			_, _, err := w.remote.Begin(t.Context(), w.idp, idp.Beginning{RedirectURI: callback})
			if c.path != discovery {
				if err != nil {
					t.Fatal(err)
				}
				_, err = w.signIn()
			}
			because(t, err, c.want)
			if f := fault.Read(err); f == nil || f.Kind != c.kind || !strings.Contains(f.Public, "sign-in service") {
				t.Errorf("fault %+v", f)
			}
		})
	}
}

// While one provider hangs, sign-ins at another go on, and not all who come pile
// up before the one that hangs.
func TestOneHangsOthersGoOn(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, nil)
	stuck := newProvider(t, w.clock.Now)
	p := w.connect("stuck", stuck, nil)
	if _, _, err := w.remote.Begin(t.Context(), p, idp.Beginning{}); err != nil {
		t.Fatal(err)
	}
	b := w.begin(p, stuck, idp.Beginning{})
	gone := make(chan struct{})
	stuck.do(func() { stuck.hang["/token"] = gone })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	reasons := make(chan idp.Reason, 200)
	for range 100 {
		wg.Go(func() {
			_, err := w.remote.Finish(ctx, p, b.flow, b.query)
			reasons <- idp.ReasonOf(err)
		})
	}
	for range 36 {
		if got := <-reasons; got != idp.ReasonBusy {
			t.Errorf("refused because of %q", got)
		}
	}
	for range 20 {
		if _, err := w.signIn(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	wg.Wait()
	close(reasons)
	for got := range reasons {
		if got != idp.ReasonAway {
			t.Errorf("refused because of %q", got)
		}
	}
}

// A failed discovery is not repeated for everybody who comes, and is again after
// a pause that grows up to a minute.
func TestDiscoveryBacksOff(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, nil)
	w.provider.do(func() {
		w.provider.answer[discovery] = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) }
	})
	begin := func() error {
		_, _, err := w.remote.Begin(t.Context(), w.idp, idp.Beginning{})
		return err
	}
	calls := 0
	for _, pause := range []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
		w.clock.Advance(pause - min(pause, time.Millisecond))
		if calls > 0 {
			because(t, begin(), idp.ReasonDiscovery)
			if n := w.provider.count(discovery); n != calls {
				t.Errorf("%d calls before the pause of %s was over, want %d", n, pause, calls)
			}
		}
		w.clock.Advance(time.Millisecond)
		for range 5 {
			because(t, begin(), idp.ReasonDiscovery)
		}
		if calls++; w.provider.count(discovery) != calls {
			t.Errorf("%d calls after a pause of %s, want %d", w.provider.count(discovery), pause, calls)
		}
	}
	w.provider.do(func() { delete(w.provider.answer, discovery) })
	w.clock.Advance(time.Minute)
	if err := begin(); err != nil {
		t.Error(err)
	}
}

// Many who come at once share one discovery and one fetch of the keys.
func TestOneFetchForAll(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, nil)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, err := w.signIn(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if a, b := w.provider.count(discovery), w.provider.count(keysAt); a != 1 || b != 1 {
		t.Errorf("%d discoveries, %d fetches of keys", a, b)
	}
}

// A provider that changes its keys between the request and the answer is followed
// at once; one that vanishes, but for its token endpoint, is known for a day.
func TestKeysRotateAndVanish(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, nil)
	if _, err := w.signIn(); err != nil {
		t.Fatal(err)
	}
	b := w.begin(w.idp, w.provider, idp.Beginning{})
	w.clock.Advance(11 * time.Second)
	w.provider.do(func() { w.provider.key, w.provider.kid = newKey(t), "two" })
	if _, err := w.finish(b); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	away := func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) }
	w.provider.do(func() { w.provider.answer[discovery], w.provider.answer[keysAt] = away, away })
	w.clock.Advance(23 * time.Hour)
	if _, err := w.signIn(); err != nil {
		t.Errorf("by the last good keys: %v", err)
	}
	w.clock.Advance(2 * time.Hour)
	_, _, err := w.remote.Begin(t.Context(), w.idp, idp.Beginning{})
	because(t, err, idp.ReasonDiscovery)
}

// Whoever floods us with tokens of unknown keys makes us ask the provider once in
// ten seconds and no more, and does not keep others out.
func TestUnknownKeyFlood(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, nil)
	if _, err := w.signIn(); err != nil {
		t.Fatal(err)
	}
	flood := func() {
		w.provider.do(func() {
			w.provider.sign = func(raw []byte) string { return signed(t, jose.ES256, w.provider.key, "made-up", raw) }
		})
		for range 20 {
			_, err := w.signIn()
			because(t, err, idp.ReasonKey)
		}
		w.provider.do(func() { w.provider.sign = nil })
	}
	for round := range 3 {
		flood()
		if n := w.provider.count(keysAt); n != 1+round {
			t.Errorf("%d fetches after %d rounds", n, round)
		}
		if _, err := w.signIn(); err != nil {
			t.Errorf("an honest sign-in meanwhile: %v", err)
		}
		w.clock.Advance(10 * time.Second)
	}
}

// The gateway does not call what it may not, whoever names it: the issuer, or
// what its metadata say.
func TestProviderAtForbiddenAddress(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, nil)
	closed := w.open(&egress.Guard{}, egress.Limits{Time: time.Second})
	_, _, err := closed.Begin(t.Context(), w.idp, idp.Beginning{})
	if because(t, err, idp.ReasonDiscovery); !errors.Is(err, egress.ErrRefused) {
		t.Errorf("error %v", err)
	}
	if w.provider.count(discovery) != 0 {
		t.Error("it was called")
	}
	for name, url := range map[string]string{
		"token_endpoint": "http://10.0.0.1/token", "jwks_uri": "file:///etc/passwd", "authorization_endpoint": "javascript:alert(1)", "userinfo_endpoint": "http://169.254.169.254/",
	} {
		w := newRemoteWorld(t, nil)
		w.provider.metadata = func(m map[string]any) { m[name] = url }
		_, _, err := w.remote.Begin(t.Context(), w.idp, idp.Beginning{})
		because(t, err, idp.ReasonDiscovery)
	}
	inside := newRemoteWorld(t, nil)
	inside.provider.metadata = func(m map[string]any) { m["token_endpoint"] = "https://169.254.169.254/token" }
	_, err = inside.signIn()
	if because(t, err, idp.ReasonAway); !errors.Is(err, egress.ErrRefused) {
		t.Errorf("error %v", err)
	}
}
