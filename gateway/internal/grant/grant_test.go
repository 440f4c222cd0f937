package grant_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

type world struct {
	store *store.Store
	marks *grant.Marks
	codes *grant.Codes
	keep  *grant.Keeper
	ring  *vault.Ring

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Microsecond)
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func build(t *testing.T) *world {
	t.Helper()
	w := &world{store: storetest.New(t), now: time.Now()}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.ring, err = vault.New([]vault.Key{vault.GenerateKey()})
	must()
	w.marks, err = grant.OpenMarks(t.Context(), w.store, grant.MarksConfig{
		Append: func(context.Context, ...changes.Entry) (uint64, error) { return 0, nil },
		Life:   time.Hour, Now: w.clock,
	})
	must()
	w.codes, err = grant.OpenCodes(t.Context(), w.store, w.clock)
	must()
	w.keep, err = grant.Open(t.Context(), w.store, grant.Config{Ring: w.ring, Marks: w.marks, Now: w.clock})
	must()
	return w
}

var terms = grant.Terms{Workspace: "w", Client: "c", Pool: "p", User: "u", Session: "s", IDP: "i", Subject: "sub"}

func TestRefreshRotation(t *testing.T) {
	t.Parallel()
	w := build(t)
	ctx := t.Context()
	first, err := w.keep.Start(ctx, "t", "g", terms, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	second, renewal, err := w.keep.Refresh(ctx, "t", "c", first, nil)
	if err != nil || second == first || renewal.Terms.Subject != "sub" {
		t.Fatalf("first refresh: %v %v", renewal, err)
	}
	again, _, err := w.keep.Refresh(ctx, "t", "c", first, nil)
	if err != nil || again != second {
		t.Fatalf("within the grace the same successor comes again: %q, want %q (%v)", again, second, err)
	}
	third, _, err := w.keep.Refresh(ctx, "t", "c", second, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.keep.Refresh(ctx, "t", "c", first, nil); !errors.Is(err, grant.ErrInvalid) || errors.Is(err, grant.ErrReused) {
		t.Fatalf("its successor was used, within the grace: %v", err)
	}
	if _, _, err := w.keep.Refresh(ctx, "t", "c", third, nil); err != nil {
		t.Fatalf("the family lives on: %v", err)
	}
	w.pass(31 * time.Second)
	if _, _, err := w.keep.Refresh(ctx, "t", "c", third, nil); !errors.Is(err, grant.ErrReused) {
		t.Fatalf("reuse after the grace: %v, want ErrReused", err)
	}
	if _, err := w.keep.Find(ctx, "t", "g"); !errors.Is(err, grant.ErrInvalid) {
		t.Fatalf("reuse must end the family: %v", err)
	}
}

func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	w := build(t)
	ctx := t.Context()
	token, err := w.keep.Start(ctx, "t", "g", terms, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	for name, try := range map[string][3]string{
		"another client":           {"t", "c2", token},
		"another tenant":           {"t2", "c", token},
		"wrong MAC":                {"t", "c", parts[0] + ".1." + strings.Repeat("A", 43)},
		"raised number":            {"t", "c", parts[0] + ".2." + parts[2]},
		"number written otherwise": {"t", "c", parts[0] + ".01." + parts[2]},
		"empty":                    {"t", "c", ""},
		"rubbish":                  {"t", "c", "a.b.c"},
		"unknown grant":            {"t", "c", "x.1." + parts[2]},
	} {
		if _, _, err := w.keep.Refresh(ctx, try[0], try[1], try[2], nil); !errors.Is(err, grant.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if _, _, err := w.keep.Refresh(ctx, "t", "c", token, nil); err != nil {
		t.Errorf("none of that may end the family: %v", err)
	}
}

func TestParallelRefreshGivesOneSuccessor(t *testing.T) {
	t.Parallel()
	w := build(t)
	token, err := w.keep.Start(t.Context(), "t", "g", terms, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const racers = 100
	got := make(chan string, racers)
	for range racers {
		go func() {
			next, _, err := w.keep.Refresh(context.Background(), "t", "c", token, nil)
			if err != nil {
				next = err.Error()
			}
			got <- next
		}()
	}
	seen := map[string]bool{}
	for range racers {
		seen[<-got] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d different answers: %v", len(seen), seen)
	}
}

func TestCodeIsSpentOnce(t *testing.T) {
	t.Parallel()
	w := build(t)
	ctx := t.Context()
	code, err := w.codes.Issue(ctx, "t", grant.Code{RedirectURI: "https://a/cb", Terms: terms}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	v, err := w.codes.Look(ctx, "t", code)
	if err != nil {
		t.Fatal(err)
	}
	const racers = 100
	wins, reuses := make(chan bool, racers), make(chan string, racers)
	for range racers {
		go func() {
			reused, err := w.codes.Spend(context.Background(), "t", code, v)
			wins <- err == nil
			reuses <- reused
		}()
	}
	won, reused := 0, 0
	for range racers {
		if <-wins {
			won++
		}
		if <-reuses == v.Grant {
			reused++
		}
	}
	if won != 1 || reused != racers-1 {
		t.Errorf("%d won, %d learned which grant must end; want 1 and %d", won, reused, racers-1)
	}
	if _, err := w.codes.Look(ctx, "t2", code); !errors.Is(err, grant.ErrInvalid) {
		t.Errorf("another tenant's code: %v", err)
	}
}

// A replay may end a grant before the honest redemption has created it.
func TestGrantEndedBeforeItBegan(t *testing.T) {
	t.Parallel()
	w := build(t)
	ctx := t.Context()
	if err := w.marks.Append(ctx, changes.Entry{Kind: changes.KindRevokeGrant, Tenant: "t", ID: "g"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.keep.Start(ctx, "t", "g", terms, time.Hour); !errors.Is(err, grant.ErrInvalid) {
		t.Fatalf("started all the same: %v", err)
	}
}

func TestClear(t *testing.T) {
	t.Parallel()
	for name, clear := range map[string]func(context.Context, *grant.Keeper) error{
		"user":    func(ctx context.Context, k *grant.Keeper) error { return k.Clear(ctx, "t", "p", "u") },
		"subject": func(ctx context.Context, k *grant.Keeper) error { return k.ClearSubject(ctx, "t", "w", "sub") },
		"IDP":     func(ctx context.Context, k *grant.Keeper) error { return k.ClearIDP(ctx, "t", "w", "i") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := build(t)
			other := grant.Terms{Workspace: "w", Client: "c", Pool: "p", User: "v", Subject: "other", IDP: "j"}
			for id, terms := range map[string]grant.Terms{"mine": terms, "theirs": other} {
				if _, err := w.keep.Start(t.Context(), "t", id, terms, time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			if err := clear(t.Context(), w.keep); err != nil {
				t.Fatal(err)
			}
			if _, err := w.keep.Find(t.Context(), "t", "mine"); !errors.Is(err, grant.ErrInvalid) {
				t.Errorf("cleared: %v", err)
			}
			if _, err := w.keep.Find(t.Context(), "t", "theirs"); err != nil {
				t.Errorf("another's: %v", err)
			}
		})
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	issued := time.Now()
	ref := terms.Ref("t", "g", issued)
	ref.Token = "j"
	for _, c := range []struct {
		name string
		e    changes.Entry
		dead bool
	}{
		{"its session", changes.Entry{Kind: changes.KindRevokeSession, Tenant: "t", ID: "s", At: issued}, true},
		{"its user", changes.Entry{Kind: changes.KindRevokeUser, Tenant: "t", ID: "p/u", At: issued.Add(time.Second)}, true},
		{"all users of its pool", changes.Entry{Kind: changes.KindRevokeUser, Tenant: "t", ID: "p/", At: issued}, true},
		{"all users of another pool", changes.Entry{Kind: changes.KindRevokeUser, Tenant: "t", ID: "pp/", At: issued}, false},
		{"its client", changes.Entry{Kind: changes.KindRevokeClient, Tenant: "t", ID: "c", At: issued}, true},
		{"its grant", changes.Entry{Kind: changes.KindRevokeGrant, Tenant: "t", ID: "g", At: issued}, true},
		{"its workspace", changes.Entry{Kind: changes.KindRevokeWorkspace, Tenant: "t", Workspace: "w", At: issued}, true},
		{"its subject", changes.Entry{Kind: changes.KindRevokeSubject, Tenant: "t", Workspace: "w", ID: "sub", At: issued}, true},
		{"its subject elsewhere", changes.Entry{Kind: changes.KindRevokeSubject, Tenant: "t", Workspace: "w2", ID: "sub", At: issued}, false},
		{"another subject", changes.Entry{Kind: changes.KindRevokeSubject, Tenant: "t", Workspace: "w", ID: "s", At: issued}, false},
		{"its IDP", changes.Entry{Kind: changes.KindRevokeIDP, Tenant: "t", Workspace: "w", ID: "i", At: issued}, true},
		{"an IDP of that name elsewhere", changes.Entry{Kind: changes.KindRevokeIDP, Tenant: "t", Workspace: "w2", ID: "i", At: issued}, false},
		{"its session, before it was issued", changes.Entry{Kind: changes.KindRevokeSession, Tenant: "t", ID: "s", At: issued.Add(-time.Second)}, true},
		{"its grant, before it was issued", changes.Entry{Kind: changes.KindRevokeGrant, Tenant: "t", ID: "g", At: issued.Add(-time.Second)}, true},
		{"before it was issued", changes.Entry{Kind: changes.KindRevokeUser, Tenant: "t", ID: "p/u", At: issued.Add(-time.Second)}, false},
		{"another tenant", changes.Entry{Kind: changes.KindRevokeSession, Tenant: "t2", ID: "s", At: issued}, false},
		{"another user", changes.Entry{Kind: changes.KindRevokeUser, Tenant: "t", ID: "p/v", At: issued}, false},
		{"itself", changes.Entry{Kind: changes.KindRevokeToken, Tenant: "t", ID: "j", At: issued.Add(-time.Second), Until: issued.Add(time.Hour)}, true},
		{"a token of that name elsewhere", changes.Entry{Kind: changes.KindRevokeToken, Tenant: "t2", ID: "j", At: issued}, false},
		{"another token", changes.Entry{Kind: changes.KindRevokeToken, Tenant: "t", ID: "g", At: issued}, false},
		{"a change of configuration", changes.Entry{Kind: changes.KindUser, Tenant: "t", ID: "p/u", At: issued}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := build(t)
			before := w.marks.Generation()
			if err := w.marks.Append(t.Context(), c.e); err != nil {
				t.Fatal(err)
			}
			if got := w.marks.Dead(ref); got != c.dead {
				t.Errorf("dead = %v", got)
			}
			if c.dead && w.marks.Generation() == before {
				t.Error("the generation did not change")
			}
			fresh, err := grant.OpenMarks(t.Context(), w.store, grant.MarksConfig{Now: w.clock})
			if err != nil {
				t.Fatal(err)
			}
			if got := fresh.Dead(ref); got != c.dead {
				t.Errorf("after a restart dead = %v", got)
			}
		})
	}
}

// A refused refresh must not use the token up: the client would present it again
// and lose its family.
func TestRefusedRefreshSpendsNothing(t *testing.T) {
	t.Parallel()
	w := build(t)
	ctx := t.Context()
	token, err := w.keep.Start(ctx, "t", "g", terms, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	no := errors.New("no")
	if _, _, err := w.keep.Refresh(ctx, "t", "c", token, func(*grant.Renewal) error { return no }); !errors.Is(err, no) {
		t.Fatalf("not asked: %v", err)
	}
	w.pass(time.Minute)
	if _, _, err := w.keep.Refresh(ctx, "t", "c", token, nil); err != nil {
		t.Errorf("after a refusal and the grace: %v", err)
	}
}

// Offline access lasts beyond the session that gave it.
func TestGrantOutlivesItsSession(t *testing.T) {
	t.Parallel()
	w := build(t)
	ctx := t.Context()
	token, err := w.keep.Start(ctx, "t", "g", terms, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []struct {
		kind, id string
		alive    bool
	}{{changes.KindRevokeSession, "s", true}, {changes.KindRevokeUser, "p/u", false}} {
		if err := w.marks.Append(ctx, changes.Entry{Kind: e.kind, Tenant: "t", ID: e.id}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.keep.Refresh(ctx, "t", "c", token, nil); (err == nil) != e.alive {
			t.Errorf("%s: %v", e.kind, err)
		}
	}
}
