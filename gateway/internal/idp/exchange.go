package idp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// exchange is one Finish.
type exchange struct {
	remote   *Remote
	idp      *IDP
	provider *provider
	meta     *metadata
	flow     *flow
}

// tokens is what a token endpoint answers.
type tokens struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	IDToken     string `json:"id_token"`
}

// redeem exchanges the code (RFC 6749, 4.1.3).
func (x *exchange) redeem(ctx context.Context, code string) (*tokens, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {x.flow.Redirect}}
	if x.flow.Verifier != "" {
		form.Set("code_verifier", x.flow.Verifier)
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	if err := x.authenticate(form, header); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.meta.endpoint.token, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, refused(x.idp, ReasonExchange, err)
	}
	req.Header = header
	status, body, err := fetch(x.provider.http, req)
	if err != nil {
		return nil, refused(x.idp, ReasonAway, short(err))
	}
	if status != http.StatusOK {
		return nil, x.unredeemed(status, body)
	}
	var t tokens
	if err := json.Unmarshal(body, &t); err != nil {
		return nil, refused(x.idp, ReasonExchange, errors.New("the token endpoint answers with no JSON object")) // the error would show tokens
	}
	return &t, nil
}

// unredeemed is an error answer of the token endpoint (RFC 6749, 5.2). Its
// description is not kept: some providers repeat credentials there.
func (x *exchange) unredeemed(status int, body []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Error == "" {
		return refused(x.idp, ReasonExchange, fmt.Errorf("the token endpoint answers with status %d", status))
	}
	return refusedBy(x.idp, ReasonExchange, token(said.Error), fmt.Errorf("the token endpoint answers with status %d", status))
}

// authenticate adds our credentials to a token request (OpenID Connect Core, 9).
func (x *exchange) authenticate(form url.Values, header http.Header) error {
	s := x.idp.Settings.OIDC
	form.Set("client_id", s.ClientID)
	if s.AuthenticationMethod == AuthNone {
		return nil
	}
	all, err := unseal(x.remote.config.Ring, x.idp)
	if err != nil {
		return err
	}
	if all == nil || all.OIDC == nil {
		return fmt.Errorf("IDP %s has no credentials", x.idp.ID)
	}
	if s.AuthenticationMethod == AuthKey {
		return x.assert(form, all.OIDC.PrivateKeyJWT)
	}
	offered := x.meta.said.AuthMethods
	if slices.Contains(offered, "client_secret_post") && !slices.Contains(offered, "client_secret_basic") {
		form.Set("client_secret", all.OIDC.ClientSecret)
		return nil
	}
	// RFC 6749, 2.3.1: both are form-encoded first. Nothing is sent twice.
	form.Del("client_id")
	pair := url.QueryEscape(s.ClientID) + ":" + url.QueryEscape(all.OIDC.ClientSecret)
	header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	return nil
}

// assert adds an assertion (RFC 7523, 2.2). Its audience is the token endpoint,
// which every provider takes (OpenID Connect Core, 9).
func (x *exchange) assert(form url.Values, k *AssertionKey) error {
	if k == nil {
		return fmt.Errorf("IDP %s has no key", x.idp.ID)
	}
	key, err := readKey(k.Key)
	if err != nil {
		return fmt.Errorf("key of IDP %s: %w", x.idp.ID, err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Algorithm), Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return fmt.Errorf("key of IDP %s: %w", x.idp.ID, err)
	}
	now := x.remote.config.Now()
	id := x.idp.Settings.OIDC.ClientID
	assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: id, Subject: id, Audience: jwt.Audience{x.meta.endpoint.token}, ID: vault.NewID(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Duration(k.Expires))),
	}).Serialize()
	if err != nil {
		return fmt.Errorf("assertion of IDP %s: %w", x.idp.ID, err)
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return nil
}

// userinfo adds the claims of the userinfo endpoint (OpenID Connect Core, 5.3).
// It must be about the same person; what says how they signed in stays the ID
// token's.
func (x *exchange) userinfo(ctx context.Context, accessToken string, claims map[string]any) error {
	no := func(err error) error { return refused(x.idp, ReasonUserinfo, short(err)) }
	if x.meta.endpoint.userinfo == "" || accessToken == "" {
		return no(errors.New("the provider has no userinfo endpoint, or gave no access token"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.meta.endpoint.userinfo, nil)
	if err != nil {
		return no(err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Accept", "application/json")
	status, body, err := fetch(x.provider.http, req)
	if err != nil {
		return refused(x.idp, ReasonAway, short(err))
	}
	if status != http.StatusOK {
		return no(fmt.Errorf("status %d", status))
	}
	more, err := payload(body)
	if err != nil {
		return no(errors.New("the answer is no JSON object"))
	}
	if more["sub"] != claims["sub"] {
		return no(errors.New("it is about another subject"))
	}
	for name, value := range more {
		if !slices.Contains(protocol, name) {
			claims[name] = value
		}
	}
	return nil
}

func decodeSegment(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }
