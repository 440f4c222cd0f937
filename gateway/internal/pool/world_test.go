package pool_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const tenantID = "t"

// world is a keeper on an empty store with a clock, and what it told the logs.
type world struct {
	*pool.Keeper
	t          testing.TB
	registered string // the user of a scenario who registered

	mu     sync.Mutex
	now    time.Time
	log    []string // changes and events in their order
	events []audit.Event
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) Record(_ context.Context, e audit.Event) error {
	if err := audit.Check(e.Subject, e.Action); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	w.log = append(w.log, e.Subject+"_"+e.Action)
	return nil
}

func (w *world) changed(_ context.Context, e changes.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, e.Kind+" "+e.ID)
	return nil
}

// told returns what the logs were told since the last call.
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.log
	w.log = nil
	return out
}

type option func(*world, *pool.Config, *store.Driver)

func open(t testing.TB, options ...option) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)}
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	d, err := embedded.Open(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := pool.Config{
		Ring: ring, Audit: w, Now: w.Now, Changed: w.changed,
		Passwords: credential.NewVerifier(credential.Config{Wait: func(context.Context, time.Duration) error { return nil }}),
	}
	var driver store.Driver = d
	for _, o := range options {
		o(w, &c, &driver)
	}
	s := store.New(driver, w.Now)
	t.Cleanup(func() { _ = s.Close() })
	if w.Keeper, err = pool.Open(t.Context(), s, c); err != nil {
		t.Fatal(err)
	}
	if err := w.Schemas.Seed(t.Context(), tenantID); err != nil {
		t.Fatal(err)
	}
	return w
}

// pool makes a pool with cheap hashes; change may alter it.
func (w *world) pool(id string, change func(*pool.Input)) pool.Counted {
	w.t.Helper()
	in := pool.Input{Pool: pool.Pool{
		ID: id, Name: id,
		PasswordPolicy:   &credential.Policy{},
		PasswordSettings: &pool.PasswordSettings{HashingMethod: credential.SHA},
	}}
	if change != nil {
		change(&in)
	}
	p, err := w.Pools.Create(w.t.Context(), tenantID, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func insensitive(in *pool.Input) { in.Pool.IdentifierCaseInsensitive = true }

// user makes an active user from JSON members such as `"id":"a"`.
func (w *world) user(in, members string) pool.User {
	w.t.Helper()
	u, err := w.create(in, members)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func (w *world) create(in, members string) (pool.User, error) {
	w.t.Helper()
	if members != "" {
		members = "," + members
	}
	return w.Users.Create(w.t.Context(), tenantID, in, decode[pool.NewUser](w.t, `{"status":"active"`+members+`}`))
}

func email(address string) string {
	return `"identifiers":[{"type":"email","identifier":"` + address + `"}]`
}

func password(p string) string {
	return `"credentials":[{"type":"password","password":"` + p + `"}]`
}

func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func encode(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// same compares JSON texts by their meaning.
func same(t testing.TB, got, want string) (any, any) {
	t.Helper()
	return decode[any](t, got), decode[any](t, want)
}

// wants checks the kind and the field of an error.
func wants(t testing.TB, what string, err error, kind fault.Kind, field string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want kind %d at %q", what, kind, field)
		return
	}
	if f := fault.Read(err); f.Kind != kind || f.Field != field {
		t.Errorf("%s: kind %d at %q (%v), want kind %d at %q", what, f.Kind, f.Field, err, kind, field)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// publicKey is a COSE key on P-256 (its generator).
var publicKey = must1(hex.DecodeString("a5010203262001" +
	"2158206b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" +
	"2258204fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"))

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// passkey is one with that id.
func passkey(id string) credential.Passkey {
	return credential.Passkey{ID: []byte(id), PublicKey: publicKey, RPID: "example.com", Purpose: credential.Passwordless, UserPresent: true, UserVerified: true}
}

// passkeyRecord is one as a caller sends it.
func passkeyRecord(id string) string {
	p := passkey(id)
	raw := must1(json.Marshal(p.Record()))
	return string(raw)
}
