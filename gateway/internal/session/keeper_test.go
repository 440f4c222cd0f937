package session_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(0, c.ns.Load()) }
func (c *clock) pass(d time.Duration) { c.ns.Add(int64(d)) }

func build(t *testing.T) (*session.Keeper, *clock, *atomic.Bool) {
	t.Helper()
	c := &clock{}
	c.ns.Store(time.Now().UnixNano())
	var dead atomic.Bool
	var gen atomic.Uint64
	k, err := session.Open(t.Context(), storetest.NewAt(t, c.now), session.Config{
		Idle: time.Hour, Absolute: 10 * time.Hour,
		Append: func(context.Context, ...changes.Entry) error { gen.Add(1); return nil },
		Dead:   func(*session.Session) bool { return dead.Load() }, Generation: gen.Load, Now: c.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return k, c, &dead
}

func start(t *testing.T, k *session.Keeper) (string, *session.Session) {
	t.Helper()
	secret, s, err := k.Start(t.Context(), "t", session.Session{Workspace: "w", Pool: "p", User: "u", Subject: "sub"})
	if err != nil {
		t.Fatal(err)
	}
	return secret, s
}

func TestFind(t *testing.T) {
	t.Parallel()
	k, _, _ := build(t)
	secret, s := start(t, k)
	got, err := k.Find(t.Context(), "t", secret)
	if err != nil || got.ID != s.ID || got.Subject != "sub" {
		t.Fatalf("%+v %v", got, err)
	}
	for name, try := range map[string][2]string{
		"another tenant": {"t2", secret}, "the id instead of the secret": {"t", s.ID}, "nothing": {"t", ""},
	} {
		if _, err := k.Find(t.Context(), try[0], try[1]); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIdleAndAbsoluteEnds(t *testing.T) {
	t.Parallel()
	k, c, _ := build(t)
	secret, _ := start(t, k)
	for range 11 { // in use: idle never ends it, the absolute age does
		if _, err := k.Find(t.Context(), "t", secret); err != nil {
			t.Fatal(err)
		}
		c.pass(50 * time.Minute)
	}
	c.pass(50 * time.Minute)
	if _, err := k.Find(t.Context(), "t", secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("older than its absolute age: %v", err)
	}
	secret, _ = start(t, k)
	c.pass(time.Hour)
	if _, err := k.Find(t.Context(), "t", secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("idle for too long: %v", err)
	}
}

func TestChildEndsWithParent(t *testing.T) {
	t.Parallel()
	k, _, _ := build(t)
	secret, s := start(t, k)
	childSecret, child, err := k.Child(t.Context(), "t", s.ID, "app.example")
	if err != nil {
		t.Fatal(err)
	}
	if child.Host != "app.example" || child.Root() != s.ID || childSecret == secret {
		t.Fatalf("%+v", child)
	}
	if !child.Created.Equal(s.Created) {
		t.Error("the child is younger than its parent: a revocation in between would miss it")
	}
	if err := k.End(t.Context(), "t", s.ID); err != nil {
		t.Fatal(err)
	}
	for _, x := range []string{secret, childSecret} {
		if _, err := k.Find(t.Context(), "t", x); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("after the parent's end: %v", err)
		}
	}
	if _, _, err := k.Child(t.Context(), "t", s.ID, "app.example"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("child of an ended session: %v", err)
	}
}

func TestMarkEndsCachedSessionAndWatchers(t *testing.T) {
	t.Parallel()
	k, _, dead := build(t)
	secret, s := start(t, k)
	if _, err := k.Find(t.Context(), "t", secret); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	stop := k.Watch(s, func() { close(ended) })
	defer stop()
	entry := changes.Entry{Kind: changes.KindRevokeUser, Tenant: "t", ID: "p/u"}
	k.Apply([]changes.Entry{entry}) // not dead: nothing happens
	dead.Store(true)
	if err := k.Append(t.Context(), entry); err != nil { // raises the generation
		t.Fatal(err)
	}
	k.Apply([]changes.Entry{entry})
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the watcher was not told")
	}
	if _, err := k.Find(t.Context(), "t", secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a cached session outlived its mark: %v", err)
	}
}

func TestWatchOfADeadSessionFiresAtOnce(t *testing.T) {
	t.Parallel()
	k, _, dead := build(t)
	_, s := start(t, k)
	dead.Store(true)
	ended := make(chan struct{})
	defer k.Watch(s, func() { close(ended) })()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the watcher was not told")
	}
}

func TestListAndClear(t *testing.T) {
	t.Parallel()
	k, _, _ := build(t)
	a, s := start(t, k)
	start(t, k)
	if _, _, err := k.Child(t.Context(), "t", s.ID, "h"); err != nil {
		t.Fatal(err)
	}
	got, err := k.List(t.Context(), "t", "p", "u")
	if err != nil || len(got) != 2 {
		t.Fatalf("%d sessions, want the 2 on the base host: %v", len(got), err)
	}
	if err := k.Clear(t.Context(), "t", "p", "u"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Find(t.Context(), "t", a); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("after Clear: %v", err)
	}
}

func TestClearBySubjectAndIDP(t *testing.T) {
	t.Parallel()
	for name, clear := range map[string]func(context.Context, *session.Keeper) error{
		"subject": func(ctx context.Context, k *session.Keeper) error { return k.ClearSubject(ctx, "t", "w", "sub") },
		"IDP":     func(ctx context.Context, k *session.Keeper) error { return k.ClearIDP(ctx, "t", "w", "i") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, _, _ := build(t)
			secrets := map[string]bool{} // and whether they are to go
			for _, s := range []session.Session{
				{Workspace: "w", Subject: "sub", IDP: "i"},
				{Workspace: "w", Subject: "other", IDP: "other"},
				{Workspace: "w2", Subject: "sub", IDP: "i"},
			} {
				secret, made, err := k.Start(t.Context(), "t", s)
				if err != nil {
					t.Fatal(err)
				}
				child, _, err := k.Child(t.Context(), "t", made.ID, "app.example")
				if err != nil {
					t.Fatal(err)
				}
				secrets[secret], secrets[child] = s.Workspace == "w" && s.Subject == "sub", s.Workspace == "w" && s.Subject == "sub"
			}
			if err := clear(t.Context(), k); err != nil {
				t.Fatal(err)
			}
			for secret, gone := range secrets {
				if _, err := k.Find(t.Context(), "t", secret); fault.Is(err, fault.Unauthenticated) != gone {
					t.Errorf("%v, want gone %v", err, gone)
				}
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	k, err := session.Open(b.Context(), storetest.New(b), session.Config{
		Append: func(context.Context, ...changes.Entry) error { return nil },
		Dead:   func(*session.Session) bool { return false }, Generation: func() uint64 { return 1 },
	})
	if err != nil {
		b.Fatal(err)
	}
	secret, _, err := k.Start(b.Context(), "t", session.Session{Workspace: "w", Subject: "sub"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := k.Find(context.Background(), "t", secret); err != nil {
				b.Error(err)
			}
		}
	})
}
