package signin_test

import (
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// No claim of a workspace can stand for what a token says by itself: all of it is
// protected, a pairwise subject's and a bound key's too.
func TestWhatTokensSayIsProtected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, kind := range []string{"public", client.Pairwise} {
		w.ChangeClient(w.Public().ClientID, func(c *client.Client) { c.SubjectType, c.RedirectURIs = kind, client.URIs{signintest.Callback} })
		set := w.Agent().Tokens("openid", signin.ScopeOffline)
		own, err := w.Signin.ClientCredentials(t.Context(), w.Home(), w.Confidential(), signin.Holder{Key: "k"}, nil)
		w.OK(err)
		for _, c := range []token.Claims{
			claimsOf(w, token.Access, set.AccessToken), claimsOf(w, token.ID, set.IDToken), claimsOf(w, token.Access, own.AccessToken),
		} {
			if len(c) < 8 {
				t.Errorf("only %v", c)
			}
			for name := range c {
				if !client.Protected(name) && !defined(w.Home().Claims, name) {
					t.Errorf("%s can be set by a claim of the workspace", name)
				}
			}
		}
	}
}

func defined(all []client.Claim, name string) bool {
	for _, d := range all {
		if d.Name == name {
			return true
		}
	}
	return false
}
