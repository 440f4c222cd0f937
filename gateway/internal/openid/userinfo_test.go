package openid_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

func TestUserInfo(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	set := tokensOf(t, s, "openid email")
	raw := text(set["access_token"])
	tab := s.Tab()
	var id map[string]any
	s.OK(json.Unmarshal(payload(t, text(set["id_token"])), &id))
	for name, a := range map[string]signintest.Answer{
		"GET":                  tab.Get(userinfoPath, "Authorization", "Bearer "+raw),
		"lower case":           tab.Get(userinfoPath, "Authorization", "bearer "+raw),
		"POST with the header": tab.Send(http.MethodPost, userinfoPath, "", "Authorization", "Bearer "+raw),
		"POST with the form":   tab.Post(userinfoPath, url.Values{"access_token": {raw}}),
	} {
		v := object(t, a)
		if a.Status != http.StatusOK || v["sub"] != id["sub"] || v["email"] != signintest.Alice || v["aid"] != "default" || v["tid"] != "default" ||
			v["idp"] != s.Demo.IDPID || v["idp_method"] != "identity_pool" || v["name"] != nil || v["iss"] != nil || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", name, a.Status, v)
		}
	}
	for name, tc := range map[string]struct {
		a      signintest.Answer
		status int
		code   string
	}{
		"in the query":              {tab.Get(userinfoPath + "?access_token=" + raw), 400, "invalid_request"},
		"in query and header":       {tab.Get(userinfoPath+"?access_token="+raw, "Authorization", "Bearer "+raw), 400, "invalid_request"},
		"in the query of a POST":    {tab.Post(userinfoPath+"?access_token="+raw, url.Values{}), 400, "invalid_request"},
		"in form and header":        {tab.Post(userinfoPath, url.Values{"access_token": {raw}}, "Authorization", "Bearer "+raw), 400, "invalid_request"},
		"twice in the form":         {tab.Post(userinfoPath, url.Values{"access_token": {raw, raw}}), 400, "invalid_request"},
		"in the body of a GET":      {tab.Send(http.MethodGet, userinfoPath, "access_token="+raw, "Content-Type", "application/x-www-form-urlencoded"), 401, "invalid_token"},
		"in JSON":                   {tab.Send(http.MethodPost, userinfoPath, `{"access_token":"`+raw+`"}`, "Content-Type", "application/json"), 400, "invalid_request"},
		"an ID token in the form":   {tab.Post(userinfoPath, url.Values{"access_token": {text(set["id_token"])}}), 401, "invalid_token"},
		"none":                      {tab.Get(userinfoPath), 401, "invalid_token"},
		"another workspace's":       {tab.Get("/default/admin/userinfo", "Authorization", "Bearer "+raw), 401, "invalid_token"},
		"a client's own token":      {tab.Get(userinfoPath, "Authorization", "Bearer "+ownToken(t, s, clientOf(s), "")), 403, "insufficient_scope"},
		"PUT":                       {tab.Send(http.MethodPut, userinfoPath, "", "Authorization", "Bearer "+raw), 405, "invalid_request"},
		"a token that is very long": {tab.Post(userinfoPath, url.Values{"access_token": {strings.Repeat("a", 100_000)}}), 401, "invalid_token"},
	} {
		v := object(t, tc.a)
		if challenge := tc.a.Header.Get("WWW-Authenticate"); tc.a.Status != tc.status || v["error"] != tc.code || v["error_code"] != float64(tc.status) ||
			(tc.status == 401 || tc.status == 403) != strings.HasPrefix(challenge, "Bearer") {
			t.Errorf("%s: %d %v %q", name, tc.a.Status, v, challenge)
		}
	}
}

func clientOf(s *signintest.Site) client.Client {
	c, _ := asks(s, "introspect_tokens")
	return c
}

// A token of somebody who may no longer sign in, or of a client that may do
// nothing any more, says nothing.
func TestUserInfoOfTheInactive(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	raw := text(tokensOf(t, s, "openid offline_access")["access_token"])
	s.ChangeClient("demo-public", func(c *client.Client) { c.ClientStatus = client.StatusInactive })
	if a := s.Tab().Get(userinfoPath, "Authorization", "Bearer "+raw); a.Status != http.StatusUnauthorized {
		t.Errorf("inactive client: %d %s", a.Status, a.Body)
	}
	s.ChangeClient("demo-public", func(c *client.Client) { c.ClientStatus = client.StatusActive })
	raw = text(tokensOf(t, s, "openid offline_access")["access_token"])
	s.SetStatus(signintest.Alice, pool.StatusInactive)
	if a := s.Tab().Get(userinfoPath, "Authorization", "Bearer "+raw); a.Status != http.StatusUnauthorized || object(t, a)["error"] != "invalid_token" {
		t.Errorf("inactive user: %d %s", a.Status, a.Body)
	}
}

// A client that registered an algorithm gets a JWT that it can check with the
// workspace's keys, and that passes for no other kind of token.
func TestSignedUserInfo(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	for _, alg := range []string{"ES256", "RS256"} {
		s.ChangeClient("demo-public", func(c *client.Client) { c.UserinfoSignedResponseAlg = alg })
		set := tokensOf(t, s, "openid email")
		a := s.Tab().Get(userinfoPath, "Authorization", "Bearer "+text(set["access_token"]))
		if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/jwt" || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %v %s", alg, a.Status, a.Header, a.Body)
		}
		var keys jose.JSONWebKeySet
		s.OK(json.Unmarshal([]byte(s.Tab().Get("/default/default/.well-known/jwks.json").Body), &keys))
		jws, err := jose.ParseSignedCompact(a.Body, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		s.OK(err)
		found := keys.Key(jws.Signatures[0].Header.KeyID)
		if len(found) != 1 {
			t.Fatalf("%s: %d keys", alg, len(found))
		}
		raw, err := jws.Verify(found[0])
		s.OK(err)
		var v, id map[string]any
		s.OK(json.Unmarshal(raw, &v))
		s.OK(json.Unmarshal(payload(t, text(set["id_token"])), &id))
		if v["iss"] != signintest.SiteBase+"/default/default" || v["aud"] != "demo-public" || v["sub"] != id["sub"] || v["email"] != signintest.Alice {
			t.Errorf("%s: %v", alg, v)
		}
		if b := s.Tab().Get(userinfoPath, "Authorization", "Bearer "+a.Body); b.Status != http.StatusUnauthorized {
			t.Errorf("%s: it passes for an access token: %d", alg, b.Status)
		}
	}
}

// Neither userinfo nor introspection betrays the person behind a pairwise subject.
func TestPairwiseAnswers(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	public := text(object(t, s.Tab().Get(userinfoPath, "Authorization", "Bearer "+text(tokensOf(t, s, "openid")["access_token"])))["sub"])
	s.ChangeClient("demo-public", func(c *client.Client) {
		c.SubjectType, c.RedirectURIs = client.Pairwise, []string{signintest.Callback}
	})
	set := tokensOf(t, s, "openid offline_access")
	var id map[string]any
	s.OK(json.Unmarshal(payload(t, text(set["id_token"])), &id))
	_, as := asks(s, "introspect_tokens")
	user := s.User(signintest.Alice).ID
	for name, a := range map[string]signintest.Answer{
		"userinfo":                      s.Tab().Get(userinfoPath, "Authorization", "Bearer "+text(set["access_token"])),
		"introspection":                 s.Tab().Post(introspectPath, about(text(set["access_token"])), as...),
		"introspection, refresh":        s.Tab().Post(introspectPath, about(text(set["refresh_token"])), as...),
		"introspection by itself":       s.Tab().Post(introspectPath, about(text(set["access_token"])), "Authorization", "Bearer "+text(set["access_token"])),
		"its refresh token, by itself ": s.Tab().Post(introspectPath, about(text(set["refresh_token"])), "Authorization", "Bearer "+text(set["access_token"])),
	} {
		v := object(t, a)
		if a.Status != http.StatusOK || v["sub"] != id["sub"] || v["sub"] == public || v["username"] != nil || v["idp_sub"] != nil ||
			strings.Contains(a.Body, user) || strings.Contains(a.Body, public) || strings.Contains(a.Body, signintest.Alice) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	a := s.Tab().Post(revokePath, about(text(set["refresh_token"])), "Authorization", "Bearer "+text(set["access_token"]))
	if b := s.Tab().Post(introspectPath, about(text(set["access_token"])), as...); a.Status != http.StatusOK || !inactive(b) {
		t.Errorf("revoked by itself: %d; %s", a.Status, b.Body)
	}
}
