package login_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

func keeper(t *testing.T, now func() time.Time) *login.Keeper {
	t.Helper()
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	k, err := login.Open(t.Context(), storetest.New(t), login.Config{Ring: ring, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   login.Login
		want login.Step
	}{
		{"new", login.Login{}, login.Choose},
		{"chosen", login.Login{IDP: "i"}, login.Authenticate},
		{"proven", login.Login{IDP: "i", User: "u"}, login.Finish},
		{"proven with an old password", login.Login{IDP: "i", User: "u", ChangeDue: true}, login.NewPassword},
		{"a user without an IDP chooses first", login.Login{User: "u"}, login.Choose},
	} {
		if got := login.Next(c.in); got != c.want {
			t.Errorf("%s: step %d, want %d", c.name, got, c.want)
		}
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	a, b := login.Candidate{ID: "a"}, login.Candidate{ID: "b"}
	hidden := login.Candidate{ID: "h", Hidden: true}
	for _, c := range []struct {
		name, hint string
		in         []login.Candidate
		id         string
		ok         bool
	}{
		{"none", "", nil, "", false},
		{"only hidden", "", []login.Candidate{hidden}, "", false},
		{"only one is taken without asking", "", []login.Candidate{a}, "a", true},
		{"hidden ones do not count", "", []login.Candidate{a, hidden}, "a", true},
		{"two are asked for", "", []login.Candidate{a, b}, "", true},
		{"a hint selects", "b", []login.Candidate{a, b}, "b", true},
		{"a hint reaches a hidden one", "h", []login.Candidate{a, b, hidden}, "h", true},
		{"an unknown hint asks", "x", []login.Candidate{a, b}, "", true},
	} {
		if id, ok := login.Select(c.hint, c.in); id != c.id || ok != c.ok {
			t.Errorf("%s: %q %v, want %q %v", c.name, id, ok, c.id, c.ok)
		}
	}
}

func TestResolveNeedsTheBrowserThatBegan(t *testing.T) {
	t.Parallel()
	k := keeper(t, nil)
	ctx := t.Context()
	mine, cookie, err := begin(k, "t", "w", "e", login.Request{Client: "c", State: "s"})
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := begin(k, "t", "w", "e", login.Request{Client: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Resolve(ctx, "t", mine.ID, mine.State, []string{"rubbish", other, cookie}); err != nil || got.Request.State != "s" {
		t.Fatalf("own browser: %v %v", got, err)
	}
	for name, try := range map[string]func() (login.Login, error){
		"no cookie":            func() (login.Login, error) { return k.Resolve(ctx, "t", mine.ID, mine.State, nil) },
		"another's cookie":     func() (login.Login, error) { return k.Resolve(ctx, "t", mine.ID, mine.State, []string{other}) },
		"wrong state":          func() (login.Login, error) { return k.Resolve(ctx, "t", mine.ID, "x", []string{cookie}) },
		"another tenant":       func() (login.Login, error) { return k.Resolve(ctx, "t2", mine.ID, mine.State, []string{cookie}) },
		"another login's name": func() (login.Login, error) { return k.Resolve(ctx, "t", vault.NewID(), mine.State, []string{cookie}) },
	} {
		if _, err := try(); !errors.Is(err, login.ErrGone) {
			t.Errorf("%s: %v, want ErrGone", name, err)
		}
	}
}

func TestStoredLoginIsFinishedOnce(t *testing.T) {
	t.Parallel()
	k := keeper(t, nil)
	ctx := context.Background()
	l, old, err := begin(k, "t", "w", "e", login.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Keep(ctx, l); err == nil {
		t.Fatal("a login that proved nothing was stored")
	}
	l.IDP, l.User, l.ChangeDue = "i", "u", true
	cookie, err := k.Keep(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Resolve(ctx, "t", l.ID, l.State, []string{cookie})
	if err != nil || !got.ChangeDue || got.User != "u" {
		t.Fatalf("stored login: %+v %v", got, err)
	}
	if before, err := k.Resolve(ctx, "t", l.ID, l.State, []string{old}); err != nil || before.User != "" {
		t.Fatalf("the old cookie must know nothing of the factor: %+v %v", before, err)
	}
	results := make(chan error, 32)
	for range 32 {
		go func() { results <- k.Finish(ctx, got) }()
	}
	won := 0
	for range 32 {
		if err := <-results; err == nil {
			won++
		} else if !errors.Is(err, login.ErrGone) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d callers finished one login", won)
	}
}

func TestLoginExpires(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	k := keeper(t, func() time.Time { return now })
	l, cookie, err := begin(k, "t", "w", "e", login.Request{})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(30 * time.Minute)
	if _, err := k.Resolve(t.Context(), "t", l.ID, l.State, []string{cookie}); !errors.Is(err, login.ErrGone) {
		t.Errorf("after its life: %v", err)
	}
}

func begin(k *login.Keeper, tenant, workspace, epoch string, r login.Request) (login.Login, string, error) {
	l := k.Begin(tenant, workspace, epoch, r)
	value, err := k.Seal(l)
	return l, value, err
}
