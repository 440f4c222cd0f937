package gateway_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238, as authenticators have it
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
)

// People: their tokens, one-time passwords and passkeys.

const callback = "http://localhost/callback"

// signIn makes a person the one who calls the self-service, by the client app.
func (s *scenario) signIn(identifier, password string) {
	s.t.Helper()
	s.tokens["user"] = s.person(identifier, password, s.values["scope"])
	s.tokens["token"] = s.tokens["user"]
	s.robot = s.caller(s.t, s.values["tid"], s.tokens["admin"], "default")
	s.weak["user"] = s.person(identifier, password, "openid")
}

// person signs in with a new browser and returns the access token of the app.
func (s *scenario) person(identifier, password, scope string) string {
	s.t.Helper()
	browser := s.browser()
	const verifier = "a verifier of at least forty-three characters"
	sum := sha256.Sum256([]byte(verifier))
	at := s.Demo.BaseURL + "/" + s.values["tid"] + "/default/oauth2/"
	q := url.Values{
		"client_id": {"app"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {scope}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "nonce": {"n"},
	}
	resp := s.visit(browser, http.MethodGet, at+"authorize?"+q.Encode(), nil)
	form := url.Values{"identifier": {identifier}, "password": {password}}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(resp.body, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	if m := regexp.MustCompile(`name="csrf_token" value="([^"]+)"`).FindStringSubmatch(resp.body); m != nil {
		form.Set("csrf_token", m[1])
	}
	resp = s.visit(browser, http.MethodPost, resp.at.String(), form)
	code := resp.at.Query().Get("code")
	if code == "" {
		s.t.Fatalf("no code at %s: %s", resp.at, resp.body)
	}
	a := s.send(s.t, http.MethodPost, strings.TrimPrefix(at, s.Demo.BaseURL)+"token", "", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"app"}, "redirect_uri": {callback}, "code": {code}, "code_verifier": {verifier},
	}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	return a.at(s.t, "access_token")
}

// browser keeps cookies, reaches the gateway whatever the host, and stops at the
// app's address.
func (w *world) browser() *http.Client {
	jar, _ := cookiejar.New(nil) // fails never
	return &http.Client{
		Jar: jar,
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(w.Base, "http://"))
		}},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), callback) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

type visited struct {
	at   *url.URL
	body string
}

// visit opens an address, or sends a form to it. At the app's address it is
// there.
func (s *scenario) visit(browser *http.Client, method, address string, form url.Values) visited {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := browser.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	out := visited{resp.Request.URL, string(raw)}
	if to, err := resp.Location(); err == nil {
		out.at = to
	}
	return out
}

// totp is the one-time password of a secret now (RFC 6238).
func totp(t *testing.T, secret string) string {
	t.Helper()
	key, err := base32.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, time.Now().Unix()/30)
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}

// passkey is what a browser makes of creation options, and the id of the passkey.
func (s *scenario) passkey(options []byte) (made, id string) {
	s.t.Helper()
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		s.t.Fatal(err)
	}
	auth := virtualwebauthn.NewAuthenticator()
	site := virtualwebauthn.RelyingParty{ID: parsed.RelyingPartyID, Name: parsed.RelyingPartyName, Origin: s.Demo.BaseURL}
	made = virtualwebauthn.CreateAttestationResponse(site, auth, virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeRSA), *parsed)
	return made, (&answer{what: "the browser", body: []byte(made)}).at(s.t, "id")
}
