package token_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// A workspace outlives any number of rotations: after each the current key signs
// and what it signs is accepted. A few revoked keys are kept to be shown.
func TestRotationsWithoutEnd(t *testing.T) {
	t.Parallel()
	f := build(t)
	for i := range 1100 {
		if _, err := f.Rotate(t.Context(), home, token.UseSig, ""); err != nil {
			t.Fatalf("rotation %d: %v", i, err)
		}
		if i%10 != 9 {
			continue
		}
		all := f.list(t, home)
		for _, k := range all.Rotated[2:] {
			if _, err := f.Revoke(t.Context(), home, token.UseSig, k.KID); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.Verify(t.Context(), home, token.Access, "", f.sign(t, home, token.Access)); err != nil {
			t.Fatalf("after rotation %d: %v", i, err)
		}
	}
	if all := f.list(t, home); all.Current.Number != 1101 || len(all.Revoked) != 20 || len(all.Rotated) != 2 {
		t.Errorf("key %d signs, %d rotated, %d revoked", all.Current.Number, len(all.Rotated), len(all.Revoked))
	}
}

// Keys verify as long as anything that they signed can live, and no longer.
func TestOldKeysGo(t *testing.T) {
	t.Parallel()
	f := build(t)
	turn := func() string {
		raw, err := f.Sign(t.Context(), home, token.Access, "", token.Claims{}, 400*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Rotate(t.Context(), home, token.UseSig, ""); err != nil {
			t.Fatal(err)
		}
		return raw
	}
	var signed []string
	for range 60 {
		signed = append(signed, turn())
		f.pass(30 * 24 * time.Hour)
		for i, raw := range signed {
			age := time.Duration(len(signed)-i) * 30 * 24 * time.Hour
			if _, err := f.Verify(t.Context(), home, token.Access, "", raw); (err == nil) != (age < 400*24*time.Hour) {
				t.Fatalf("a token of %v: %v", age, err)
			}
		}
	}
	if n := len(f.published(t, home)); n > 18 {
		t.Errorf("%d keys are published", n)
	}
}

// Too many keys that verify are refused, by hand and by schedule, until some are
// revoked; all of them verify, however many pages they fill.
func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	f := build(t)
	first := f.sign(t, home, token.Access)
	a, err := f.SetAutomatic(t.Context(), home, token.UseSig, token.Automatic{Enabled: true, Cron: "0 3 1 1 *"})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Rotate(t.Context(), home, token.UseSig, "")
	}
	if n := len(f.published(t, home)); !fault.Is(err, fault.Conflict) || n != 500 {
		t.Fatalf("%d keys: %v", n, err)
	}
	if _, err := f.Verify(t.Context(), home, token.Access, "", first); err != nil {
		t.Error(err)
	}
	f.pass(a.ScheduledAt.Sub(f.clock()))
	if err := f.RotateDue(t.Context()); !fault.Is(err, fault.Conflict) {
		t.Errorf("by schedule: %v", err)
	}
	if err := f.RotateDue(t.Context()); err != nil {
		t.Errorf("tried again before the next time: %v", err)
	}
	all := f.list(t, home)
	if _, err := f.Revoke(t.Context(), home, token.UseSig, all.Rotated[0].KID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Rotate(t.Context(), home, token.UseSig, ""); err != nil {
		t.Errorf("after a revocation: %v", err)
	}
	if !slices.ContainsFunc(f.list(t, home).Revoked, func(k token.Listed) bool { return k.KID == all.Rotated[0].KID }) {
		t.Error("the revoked key is not shown")
	}
}
