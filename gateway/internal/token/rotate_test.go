package token_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// published returns the kids of a JWK Set with their algorithms.
func (f *fixture) published(t testing.TB, w token.Workspace) map[string]string {
	t.Helper()
	raw, err := f.JWKS(t.Context(), w, token.UseSig)
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []struct{ Kid, Alg, D string } `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	kids := map[string]string{}
	for _, k := range set.Keys {
		if k.D != "" {
			t.Errorf("key %s is published with its private half", k.Kid)
		}
		kids[k.Kid] = k.Alg
	}
	return kids
}

func (f *fixture) list(t testing.TB, w token.Workspace) token.Keys {
	t.Helper()
	all, err := f.List(t.Context(), w, token.UseSig)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Every key was published before it signs, the old ones verify until they are
// revoked, and what a revoked key signed is refused at once, on another gateway
// as well.
func TestRotateAndRevoke(t *testing.T) {
	t.Parallel()
	f := build(t)
	old := f.sign(t, home, token.Access)
	before := f.list(t, home)
	if before.Current.Alg != "ES256" || before.Next.KID == "" || len(before.Rotated)+len(before.Revoked) > 0 {
		t.Fatalf("at first %+v", before)
	}
	got, err := f.Rotate(t.Context(), home, token.UseSig, "")
	if err != nil || got.KID != before.Next.KID {
		t.Fatalf("rotated to %v %v, want the key published before: %s", got.KID, err, before.Next.KID)
	}
	if kids := f.published(t, home); len(kids) != 3 {
		t.Errorf("published %v, want three", kids)
	}
	fresh := f.sign(t, home, token.Access)
	for name, raw := range map[string]string{"old": old, "new": fresh} {
		if _, err := f.Verify(t.Context(), home, token.Access, "", raw); err != nil {
			t.Errorf("%s token after a rotation: %v", name, err)
		}
	}
	for _, kid := range []string{got.KID, f.list(t, home).Next.KID} {
		if _, err := f.Revoke(t.Context(), home, token.UseSig, kid); !fault.Is(err, fault.Invalid) {
			t.Errorf("a key that signs or is about to was revoked: %v", err)
		}
	}
	if _, err := f.Revoke(t.Context(), home, token.UseSig, "nonsense"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown key was revoked: %v", err)
	}
	gone, err := f.Revoke(t.Context(), home, token.UseSig, before.Current.KID)
	if err != nil || gone.Revoked.IsZero() || gone.Private != "" {
		t.Fatalf("%+v %v", gone, err)
	}
	if _, err := f.Verify(t.Context(), home, token.Access, "", old); err == nil {
		t.Error("a token of a revoked key is accepted")
	}
	if kids := f.published(t, home); kids[before.Current.KID] != "" || len(kids) != 2 {
		t.Errorf("a revoked key is published: %v", kids)
	}
	if _, err := f.open(t).Verify(t.Context(), home, token.Access, "", fresh); err != nil {
		t.Errorf("another gateway: %v", err)
	}
}

// A key of another type is published for a whole turn before the workspace signs
// with it, and clients that asked for an algorithm keep it.
func TestRotateToAnotherType(t *testing.T) {
	t.Parallel()
	f := build(t)
	f.sign(t, home, token.Access)
	if _, err := f.Rotate(t.Context(), home, token.UseSig, "ps"); err != nil {
		t.Fatal(err)
	}
	between := f.list(t, home)
	if between.Current.Alg != "ES256" || between.Next.Alg != "PS256" || f.published(t, home)[between.Next.KID] != "PS256" {
		t.Fatalf("after the first rotation %+v", between)
	}
	if _, err := f.Rotate(t.Context(), home, token.UseSig, ""); err != nil {
		t.Fatal(err)
	}
	after := f.list(t, home)
	if after.Current.KID != between.Next.KID || after.Next.Alg != "ES256" {
		t.Fatalf("after the second rotation %+v, want %s to sign", after, between.Next.KID)
	}
	if alg, err := f.Algorithm(t.Context(), home); alg != "PS256" || err != nil {
		t.Errorf("signs by %s %v", alg, err)
	}
}

func TestSignByAlgorithm(t *testing.T) {
	t.Parallel()
	f := build(t)
	var all sync.WaitGroup
	for range 4 { // who comes first makes the key; the others use it
		all.Go(func() {
			raw, err := f.Sign(t.Context(), home, token.ID, "RS256", token.Claims{"sub": "s"}, time.Minute)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := f.Verify(t.Context(), home, token.ID, "", raw); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if kids := f.published(t, home); len(kids) != 4 {
		t.Errorf("published %v, want two keys of each algorithm", kids)
	}
	for _, alg := range []string{"none", "HS256", "ES25", "nonsense"} {
		if _, err := f.Sign(t.Context(), home, token.ID, alg, token.Claims{}, time.Minute); err == nil {
			t.Errorf("signed by %q", alg)
		}
	}
	if _, err := f.Sign(t.Context(), home, token.UserInfo, "", token.Claims{}, 0); err != nil {
		t.Error(err)
	}
}

// Many who rotate at once either do so one after the other or are told.
func TestRotateAtOnce(t *testing.T) {
	t.Parallel()
	f := build(t)
	f.sign(t, home, token.Access)
	var done, told int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		gateway := f.open(t)
		all.Go(func() {
			_, err := gateway.Rotate(t.Context(), home, token.UseSig, "")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done++
			case fault.Is(err, fault.Conflict):
				told++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	f.Apply(nil)
	now := f.list(t, home)
	if done == 0 || done+told != 8 || now.Current.Number != 1+done || now.Next.Number != 2+done || len(now.Rotated) != done {
		t.Errorf("%d rotated, %d were told; now %d signs of %d", done, told, now.Current.Number, len(now.Rotated))
	}
}

func TestAutomaticRotation(t *testing.T) {
	t.Parallel()
	f := build(t)
	f.now = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	first := f.list(t, home).Current.KID
	a, err := f.SetAutomatic(t.Context(), home, token.UseSig, token.Automatic{Enabled: true, Cron: "0 3 1 * *"})
	if want := time.Date(2026, 4, 1, 3, 0, 0, 0, time.UTC); err != nil || !a.ScheduledAt.Equal(want) {
		t.Fatalf("%v %v, want %v", a, err, want)
	}
	turn := func(want int) {
		t.Helper()
		var all sync.WaitGroup
		for range 3 { // gateways
			gateway := f.open(t)
			all.Go(func() {
				if err := gateway.RotateDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		f.Apply(nil)
		if n := f.list(t, home).Current.Number; n != want {
			t.Errorf("key %d signs, want %d", n, want)
		}
	}
	turn(1)
	f.pass(23 * 24 * time.Hour)
	turn(2)
	turn(2)
	if kid := f.list(t, home).Rotated[0].KID; kid != first {
		t.Errorf("%s rotated, want %s", kid, first)
	}
	if got, err := f.Automatic(t.Context(), home, token.UseSig); err != nil || got.ScheduledAt.Month() != time.May {
		t.Errorf("next %v %v, want in May", got.ScheduledAt, err)
	}
	if a, err = f.SetAutomatic(t.Context(), home, token.UseSig, token.Automatic{Cron: "0 3 1 * *"}); err != nil || !a.ScheduledAt.IsZero() {
		t.Errorf("switched off: %v %v", a, err)
	}
	for _, bad := range []string{"", "every day", "* * * * *", "0 3 31 2 *", "*/10 * * * * *"} {
		if _, err := f.SetAutomatic(t.Context(), home, token.UseSig, token.Automatic{Enabled: true, Cron: bad}); !fault.Is(err, fault.Invalid) {
			t.Errorf("cron %q: %v", bad, err)
		}
	}
}

// What a workspace that is gone signed is not accepted by one of the same name.
func TestClear(t *testing.T) {
	t.Parallel()
	f := build(t)
	raw := f.sign(t, home, token.Access)
	if err := f.Clear(t.Context(), home.Tenant, home.ID); err != nil {
		t.Fatal(err)
	}
	f.Apply(nil)
	if _, err := f.Verify(t.Context(), home, token.Access, "", raw); err == nil {
		t.Error("a token of cleared keys is accepted")
	}
}
