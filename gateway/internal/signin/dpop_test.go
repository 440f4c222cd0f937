package signin_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

const endpoint = "https://id.example.com/t/w/oauth2/token"

func TestProveKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := signintest.NewProver(t)
	for name, c := range map[string]struct {
		htm, htu string
		age      time.Duration
		ok       bool
	}{
		"as asked":         {"POST", endpoint, 0, true},
		"other case":       {"POST", "HTTPS://ID.example.com/t/w/oauth2/token", 0, true},
		"a default port":   {"POST", "https://id.example.com:443/t/w/oauth2/token", 0, true},
		"query, fragment":  {"POST", endpoint + "?a=b#c", 0, true},
		"needless escapes": {"POST", "https://id.example.com/%74/w/oauth2/token", 0, true},
		"a slow clock":     {"POST", endpoint, 59 * time.Second, true},
		"a fast clock":     {"POST", endpoint, -59 * time.Second, true},
		"too old":          {"POST", endpoint, 62 * time.Second, false},
		"from the future":  {"POST", endpoint, -62 * time.Second, false},
		"another method":   {"GET", endpoint, 0, false},
		"method's case":    {"post", endpoint, 0, false},
		"another path":     {"POST", "https://id.example.com/t/w2/oauth2/token", 0, false},
		"an escaped slash": {"POST", "https://id.example.com/t%2Fw/oauth2/token", 0, false},
		"another host":     {"POST", "https://evil.example.com/t/w/oauth2/token", 0, false},
		"a user name":      {"POST", "https://id.example.com@id.example.com/t/w/oauth2/token", 0, false},
		"another port":     {"POST", "https://id.example.com:80/t/w/oauth2/token", 0, false},
		"another scheme":   {"POST", "http://id.example.com/t/w/oauth2/token", 0, false},
		"no address":       {"POST", "", 0, false},
	} {
		proof := p.Proof(c.htm, c.htu, "", w.Now().Add(-c.age), nil)
		key, err := w.Signin.ProveKey(t.Context(), w.Home(), signin.Request{Proofs: []string{proof}, Method: "POST", URL: endpoint})
		if (err == nil) != c.ok || (c.ok && key != p.Thumbprint()) {
			t.Errorf("%s: %q %v", name, key, err)
		}
		if err != nil {
			wantCode(t, err, client.CodeBadProof, name)
		}
	}
	proof := p.Proof("POST", endpoint, "", w.Now(), nil)
	_, err := w.Signin.ProveKey(t.Context(), w.Home(), signin.Request{Proofs: []string{proof, proof}, Method: "POST", URL: endpoint})
	wantCode(t, err, client.CodeBadProof, "two headers")
	for name, made := range map[string]string{"no token": "", "another token": "x"} {
		proof := p.Proof("POST", endpoint, made, w.Now(), nil)
		_, err := w.Signin.ProveKey(t.Context(), w.Home(), signin.Request{Proofs: []string{proof}, Method: "POST", URL: endpoint, Token: "t"})
		wantCode(t, err, client.CodeBadProof, name)
	}
}

// A proof is good once, however many bring it at the same moment; one with the
// same jti by another key is another proof.
func TestProofReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	space := w.Home()
	p := signintest.NewProver(t)
	proof := p.Proof("POST", endpoint, "", w.Now(), map[string]any{"jti": "one"})
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			_, err := w.Signin.ProveKey(context.Background(), space, signin.Request{Proofs: []string{proof}, Method: "POST", URL: endpoint})
			if err == nil {
				won.Add(1)
			} else if fault.Read(err).Code != client.CodeBadProof {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d won", won.Load())
	}
	other := signintest.NewProver(t).Proof("POST", endpoint, "", w.Now(), map[string]any{"jti": "one"})
	if _, err := w.Signin.ProveKey(t.Context(), space, signin.Request{Proofs: []string{other}, Method: "POST", URL: endpoint}); err != nil {
		t.Errorf("another key's: %v", err)
	}
}

func TestProofsWithoutTheFlag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.OK(w.Flags.Set(t.Context(), w.Demo.Tenant, flag.DPoP, false, "test"))
	key, err := w.Signin.ProveKey(t.Context(), w.Home(), signin.Request{Proofs: []string{"rubbish"}, Method: "POST", URL: endpoint})
	if key != "" || err != nil {
		t.Errorf("not ignored: %q %v", key, err)
	}
	w.ChangeClient(w.Confidential().ClientID, func(c *client.Client) { c.DPoPBoundAccessTokens = true })
	_, err = w.Signin.ClientCredentials(t.Context(), w.Home(), w.Confidential(), signin.Holder{}, nil)
	wantCode(t, err, client.CodeBadProof, "a client that must")
	if !strings.Contains(fault.Read(err).Public, "dpop") {
		t.Errorf("does not name the flag: %v", err)
	}
}

// A token that is bound to a key is worth nothing to who found it.
func TestBoundTokenNeedsItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, by := range map[string]signin.Holder{
		"a key": {Key: "k"}, "a certificate": {Certificate: "c"}, "both": {Key: "k", Certificate: "c"},
	} {
		w.ChangeClient(w.Confidential().ClientID, func(c *client.Client) { c.CertificateBoundTokens = by.Certificate != "" })
		set, err := w.Signin.ClientCredentials(t.Context(), w.Home(), w.Confidential(), by, nil)
		w.OK(err)
		if (by.Key != "") != (set.TokenType == "DPoP") {
			t.Errorf("%s: token_type %s", name, set.TokenType)
		}
		for who, try := range map[string]func() error{
			"as Bearer": func() error { _, err := w.Signin.Bearer(t.Context(), w.Home(), "", set.AccessToken); return err },
			"self-service": func() error {
				_, err := w.Signin.Person(t.Context(), w.Home(), signin.Presentation{Authorization: "Bearer " + set.AccessToken})
				return err
			},
			"by others": func() error { return heldBy(t, w, set.AccessToken, signin.Holder{Key: "x", Certificate: "y"}) },
			"key for cert": func() error {
				return heldBy(t, w, set.AccessToken, signin.Holder{Key: by.Certificate, Certificate: by.Key})
			},
			"by nobody":     func() error { return heldBy(t, w, set.AccessToken, signin.Holder{}) },
			"by its holder": func() error { return heldBy(t, w, set.AccessToken, by) },
			"to look at it": func() error { _, err := w.Signin.Inspect(t.Context(), w.Home(), set.AccessToken); return err },
		} {
			ok := who == "by its holder" || who == "to look at it"
			if err := try(); (err == nil) != ok || (err != nil && !fault.Is(err, fault.Unauthenticated)) {
				t.Errorf("%s, %s: %v", name, who, err)
			}
		}
	}
}

func heldBy(t *testing.T, w *signintest.World, raw string, by signin.Holder) error {
	t.Helper()
	_, err := w.Signin.Held(t.Context(), w.Home(), "", raw, by)
	return err
}

// Refresh tokens of a client without a credential are bound to the key of the
// first proof; others are bound to their client.
func TestRefreshNeedsTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	by, other := signin.Holder{Key: "k"}, signin.Holder{Key: "x"}
	redeem := func(c *client.Client) string {
		r := signintest.Request("openid", "offline_access")
		r.Client = c.ClientID
		code := signintest.Query(w, w.Agent().SignIn(r)).Get("code")
		set, err := w.Signin.Redeem(t.Context(), w.Home(), c, by, redemption(code, signintest.Callback, signintest.Verifier))
		w.OK(err)
		return set.RefreshToken
	}
	token := redeem(w.Public())
	_, err := w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, token, nil)
	wantCode(t, err, client.CodeBadProof, "no proof")
	_, err = w.Signin.Refresh(t.Context(), w.Home(), w.Public(), other, token, nil)
	wantCode(t, err, "invalid_grant", "another key")
	w.Pass(time.Minute) // past the grace: a refusal spends nothing
	set, err := w.Signin.Refresh(t.Context(), w.Home(), w.Public(), by, token, nil)
	if err != nil || heldBy(t, w, set.AccessToken, by) != nil {
		t.Fatalf("its own key: %v", err)
	}
	if set, err = w.Signin.Refresh(t.Context(), w.Home(), w.Confidential(), other, redeem(w.Confidential()), nil); err != nil {
		t.Fatalf("a client with a credential may change its key: %v", err)
	}
	if err := heldBy(t, w, set.AccessToken, by); err == nil {
		t.Error("the new token is bound to the old key")
	}
}

// dpop_jkt binds a code to the key that asked for it (RFC 9449, section 10).
func TestCodeNeedsItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := signintest.Request("openid")
	r.DPoPKey = "k"
	code := signintest.Query(w, w.Agent().SignIn(r)).Get("code")
	redeem := func(by signin.Holder) error {
		_, err := w.Signin.Redeem(t.Context(), w.Home(), w.Public(), by, redemption(code, signintest.Callback, signintest.Verifier))
		return err
	}
	wantCode(t, redeem(signin.Holder{}), client.CodeBadProof, "no proof")
	wantCode(t, redeem(signin.Holder{Key: "x"}), "invalid_grant", "another key")
	w.OK(redeem(signin.Holder{Key: "k"}))
}
