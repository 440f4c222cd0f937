package pool_test

import (
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// Passkeys are good for the relying party that they were made for alone.
func TestRelyingPartyIsFixedOnceThereArePasskeys(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.user("p", `"id":"anna"`)
	change := func(rp string) error {
		p, err := w.Pools.Get(ctx, tenantID, "p")
		if err != nil {
			t.Fatal(err)
		}
		p.WebAuthn = &pool.WebAuthn{RPID: rp, Origins: []string{"https://" + rp}}
		_, err = w.Pools.Update(ctx, tenantID, pool.Input{Pool: p})
		return err
	}
	if err := change("example.com"); err != nil {
		t.Fatalf("while nobody has one: %v", err)
	}
	if err := w.Users.AddPasskey(ctx, tenantID, "p", "anna", passkey("one"), pool.CredentialOptions{}); err != nil {
		t.Fatal(err)
	}
	wants(t, "another domain", change("example.org"), fault.Unprocessable, "webauthn.rp_id")
	if err := change("example.com"); err != nil {
		t.Errorf("the same domain: %v", err)
	}
	if err := w.Users.RemovePasskey(ctx, tenantID, "p", "anna", pool.PasskeyID([]byte("one")), false); err != nil {
		t.Fatal(err)
	}
	if err := change("example.org"); err != nil {
		t.Errorf("after the last was removed: %v", err)
	}
}
