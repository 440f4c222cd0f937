package signin_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

// What is taken from a client is not in the tokens that it gets from then on, by a
// code or by a refresh token that are older.
func TestScopesTakenFromTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := signintest.Query(w, w.Agent().SignIn(signintest.Request("openid", "offline_access", "email"))).Get("code")
	refresh := w.Agent().Tokens("openid", "offline_access", "email").RefreshToken
	w.ChangeClient(w.Public().ClientID, func(c *client.Client) {
		c.Scopes = slices.DeleteFunc(c.Scopes, func(x string) bool { return x == "openid" || x == "email" })
	})
	redeemed, err := w.Signin.Redeem(t.Context(), w.Home(), w.Public(), signin.Holder{}, redemption(code, signintest.Callback, signintest.Verifier))
	w.OK(err)
	_, err = w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, refresh, []string{"email"})
	wantCode(t, err, "invalid_scope", "asked for what was taken")
	refreshed, err := w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, refresh, nil)
	w.OK(err)
	for name, set := range map[string]signin.TokenSet{"code": redeemed, "refresh token": refreshed} {
		if set.IDToken != "" || strings.Contains(set.Scope, "email") || strings.Contains(set.Scope, "openid") {
			t.Errorf("%s: scope %q, ID token %q", name, set.Scope, set.IDToken)
		}
	}
}

// A public client that proves a key when it refreshes is bound to it from then on
// (RFC 9449, section 5): the successor alone is worth nothing.
func TestRefreshBindsTheFamily(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"the newest": false, "within the grace": true} {
		w := newWorld(t)
		token := w.Agent().Tokens("openid", "offline_access").RefreshToken
		if again {
			_, err := w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, token, nil)
			w.OK(err)
		}
		set, err := w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{Key: "k"}, token, nil)
		w.OK(err)
		w.Pass(time.Minute)
		_, err = w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, set.RefreshToken, nil)
		wantCode(t, err, client.CodeBadProof, name+": no proof")
		_, err = w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{Key: "x"}, set.RefreshToken, nil)
		wantCode(t, err, "invalid_grant", name+": another key")
		_, err = w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{Key: "k"}, set.RefreshToken, nil)
		w.OK(err)
	}
}

// A proof is spent by a request that is right in all else, once: a stranger's
// request writes nothing.
func TestProofIsSpentLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := signintest.NewProver(t)
	proof := p.Proof("POST", endpoint, "", w.Now(), nil)
	refresh := w.Agent().Tokens("openid", "offline_access").RefreshToken
	try := func(token string) error {
		by, err := w.Signin.CheckProof(t.Context(), w.Home(), signin.Request{Proofs: []string{proof}, Method: "POST", URL: endpoint})
		w.OK(err)
		_, err = w.Signin.Refresh(t.Context(), w.Home(), w.Public(), by, token, nil)
		return err
	}
	inserts := w.Faulty.Calls("insert")
	for range 3 {
		wantCode(t, try("made.1.up"), "invalid_grant", "a made-up token")
	}
	if n := w.Faulty.Calls("insert"); n != inserts {
		t.Errorf("%d writes for a stranger", n-inserts)
	}
	w.OK(try(refresh))
	wantCode(t, try(refresh), client.CodeBadProof, "the proof once more")
}
