package signin_test

import (
	"context"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Whoever stole a signing key has tokens that were accepted before. Revoking the
// key ends them, on a gateway that hears of it by the change log as well, also when
// it missed the entry.
func TestRevokedKeyEndsRememberedTokens(t *testing.T) {
	t.Parallel()
	for name, missed := range map[string]bool{"told": false, "missed it": true} {
		w := newWorld(t)
		space := w.Home()
		set, err := w.Signin.ClientCredentials(t.Context(), space, w.Confidential(), signin.Holder{}, nil)
		w.OK(err)
		others, err := token.Open(t.Context(), w.Store, token.Config{Base: w.Base, Ring: w.Ring, Now: w.Now})
		w.OK(err)
		c := w.Signin.Config
		c.Tokens = others
		other, err := signin.New(c)
		w.OK(err)
		stolen, err := w.Tokens.List(t.Context(), space.Token(), token.UseSig)
		w.OK(err)
		accepted := func(s *signin.Service) bool {
			_, err := s.Bearer(context.Background(), space, "", set.AccessToken)
			return err == nil
		}
		_, err = w.Tokens.Rotate(t.Context(), space.Token(), token.UseSig, "")
		w.OK(err)
		if !accepted(w.Signin) || !accepted(other) {
			t.Fatal("a token of a rotated key is refused")
		}
		_, err = w.Tokens.Revoke(t.Context(), space.Token(), token.UseSig, stolen.Current.KID)
		w.OK(err)
		if accepted(w.Signin) {
			t.Error("a token of a revoked key is accepted")
		}
		if missed {
			others.Apply(nil)
		} else {
			others.Apply([]changes.Entry{{Kind: changes.KindKey, Tenant: space.Tenant, Workspace: space.ID}})
		}
		if accepted(other) {
			t.Errorf("%s: another gateway accepts it", name)
		}
	}
}
