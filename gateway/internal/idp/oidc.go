package idp

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// Finish takes what the browser brought back to the callback, redeems the code
// and returns who the person is: the ID token's claims, and those of the userinfo
// endpoint when the settings want them. Whoever calls it forgets the flow,
// whatever it returns. Every check is made here and nowhere else, in this order:
//
//	flow   it is of this IDP, not too old, of the issuer that the IDP has now
//	state  is the flow's                                      RFC 6749, 10.12
//	iss    names the provider, when there or announced        RFC 9207 (mix-up)
//	error  the provider refused                               RFC 6749, 4.1.2.1
//	code   exactly one; redeemed with the flow's verifier     RFC 7636
//	alg    asymmetric and announced                           RFC 8725, 3.1
//	kid    is a key of the provider; the signature holds
//	iss, aud, azp, exp, nbf, iat, nonce, at_hash, sub, auth_time
//	                                                          OpenID Connect Core, 3.1.3.7
//	sub    of the userinfo answer is the ID token's           OpenID Connect Core, 5.3.2
//
// Errors are faults with a neutral sentence, and a RefusedError with the check.
func (r *Remote) Finish(ctx context.Context, p IDP, sealed string, query url.Values) (Person, error) {
	if p.Method != OIDC || p.Settings.OIDC == nil {
		return Person{}, fmt.Errorf("IDP %s is not of method oidc", p.ID)
	}
	f, err := r.open(&p, sealed)
	if err != nil {
		return Person{}, refused(&p, ReasonFlow, err)
	}
	if !sameIssuer(f.Issuer, p.IssuerURL()) {
		return Person{}, refused(&p, ReasonFlow, fmt.Errorf("begun with %s", f.Issuer))
	}
	if !one(query, "state", f.State) {
		return Person{}, refused(&p, ReasonState, nil)
	}
	v := r.provider(&p)
	leave, ok := v.enter()
	if !ok {
		return Person{}, refused(&p, ReasonBusy, nil)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	meta, err := v.metadata(ctx)
	if err != nil {
		return Person{}, refused(&p, ReasonDiscovery, err)
	}
	code, err := answer(&p, meta, query)
	if err != nil {
		return Person{}, err
	}
	x := &exchange{remote: r, idp: &p, provider: v, meta: meta, flow: f}
	got, err := x.redeem(ctx, code)
	if err != nil {
		return Person{}, err
	}
	claims, err := x.verify(ctx, got)
	if err != nil {
		return Person{}, err
	}
	if p.Settings.OIDC.GetUserInfo {
		if err := x.userinfo(ctx, got.AccessToken, claims); err != nil {
			return Person{}, err
		}
	}
	return personOf(claims), nil
}

// one tells whether a parameter is there exactly once with this value, in a time
// that does not depend on how much of it is right.
func one(query url.Values, name, want string) bool {
	got := query[name]
	return len(got) == 1 && want != "" && subtle.ConstantTimeCompare([]byte(got[0]), []byte(want)) == 1
}

// answer checks the provider's answer by way of the browser and returns the code.
func answer(p *IDP, meta *metadata, query url.Values) (string, error) {
	if query.Has("iss") || meta.said.ResponseISS {
		if !one(query, "iss", meta.issuer) {
			return "", refused(p, ReasonAnswerISS, fmt.Errorf("%.200q instead of %q", query["iss"], meta.issuer))
		}
	}
	if query.Has("error") {
		code := token(query.Get("error"))
		return "", refusedBy(p, ReasonRefused, code, fmt.Errorf("error_description %.200q", query.Get("error_description")))
	}
	code := query["code"]
	if len(code) != 1 || code[0] == "" || len(code[0]) > maxAddress {
		return "", refused(p, ReasonCode, nil)
	}
	return code[0], nil
}

// token shortens an error code to what RFC 6749, 4.1.2.1 allows it to be.
func token(code string) string {
	if len(code) > 64 || !scopeToken.MatchString(code) {
		return "other"
	}
	return code
}

// idClaims are the claims of an ID token that have a meaning here.
type idClaims struct {
	Issuer     string   `json:"iss"`
	Audience   texts    `json:"aud"`
	Authorized *string  `json:"azp"`
	Expiry     *seconds `json:"exp"`
	Issued     *seconds `json:"iat"`
	AuthTime   *seconds `json:"auth_time"`
	Nonce      string   `json:"nonce"`
	AtHash     *string  `json:"at_hash"`
	Subject    string   `json:"sub"`
}

// texts is a list that may be written as a single text (RFC 7519, 4.1.3).
type texts []string

// UnmarshalJSON reads a text or a list of texts.
func (t *texts) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		*t = make(texts, 1)
		return json.Unmarshal(raw, &(*t)[0])
	}
	return json.Unmarshal(raw, (*[]string)(t))
}

// seconds is a NumericDate (RFC 7519, 2).
type seconds float64

func (s seconds) time() time.Time { return time.Unix(int64(s), 0).UTC() }

// keySet answers go-oidc from the provider's keys and keeps what it said: go-oidc
// hands errors on as text only.
type keySet struct {
	x       *exchange
	payload []byte // signed by the provider
	why     Reason
	cause   error
}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	k.payload, k.why, k.cause = k.x.signed(ctx, raw)
	return k.payload, k.cause
}

// signed returns the payload of a token if a key of the provider signed it.
func (x *exchange) signed(ctx context.Context, raw string) ([]byte, Reason, error) {
	jws, err := jose.ParseSignedCompact(raw, jwas(x.meta.algs))
	if err != nil {
		return nil, ReasonAlg, short(err)
	}
	header := jws.Signatures[0].Header
	keys, err := x.provider.signing(ctx, x.meta, header.Algorithm, header.KeyID)
	if err != nil {
		return nil, ReasonKeys, err
	}
	if len(keys) == 0 {
		return nil, ReasonKey, fmt.Errorf("key id %.100q, algorithm %s", header.KeyID, header.Algorithm)
	}
	for i := range keys {
		if payload, err := jws.Verify(&keys[i]); err == nil {
			return payload, "", nil
		}
	}
	return nil, ReasonSignature, errors.New("no key of the provider made this signature")
}

func jwas(names []string) []jose.SignatureAlgorithm {
	out := make([]jose.SignatureAlgorithm, len(names))
	for i, n := range names {
		out[i] = jose.SignatureAlgorithm(n)
	}
	return out
}

// verify checks the ID token and returns its claims. go-oidc judges algorithm,
// signature, iss, aud, exp and nbf; the rest it leaves to us.
func (x *exchange) verify(ctx context.Context, got *tokens) (map[string]any, error) {
	if got.IDToken == "" {
		return nil, refused(x.idp, ReasonNoIDToken, nil)
	}
	if why, err := wellFormed(got.IDToken, x.meta.algs); err != nil {
		return nil, refused(x.idp, why, err)
	}
	keys := &keySet{x: x}
	judge := oidc.NewVerifier(x.meta.issuer, keys, &oidc.Config{
		ClientID: x.idp.Settings.OIDC.ClientID, SupportedSigningAlgs: x.meta.algs,
		Now: func() time.Time { return x.remote.config.Now().Add(-skew) },
	})
	signed, err := judge.Verify(ctx, got.IDToken)
	if err != nil {
		return nil, refused(x.idp, x.whyNot(keys, err), errors.Join(short(err), keys.cause))
	}
	var c idClaims
	if err := json.Unmarshal(keys.payload, &c); err != nil {
		return nil, refused(x.idp, ReasonMalformed, short(err))
	}
	for _, check := range []struct {
		why Reason
		say string // empty: it holds
	}{
		{ReasonAuthorized, c.wrongParty(x.idp.Settings.OIDC.ClientID)},
		{ReasonIssued, c.wrongIssue(x.remote.config.Now())},
		{ReasonNonce, unless(subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(x.flow.Nonce)) == 1, "not what was sent")},
		{ReasonAtHash, c.wrongHash(signed, got.AccessToken)},
		{ReasonSubject, sayOf(checkSubject(c.Subject))},
		{ReasonAuthTime, c.wrongAge(x.flow)},
	} {
		if check.say != "" {
			return nil, refused(x.idp, check.why, errors.New(check.say))
		}
	}
	return payload(keys.payload)
}

// wellFormed tells a token with a forbidden algorithm from what is no token.
func wellFormed(raw string, algs []string) (Reason, error) {
	head, _, _ := strings.Cut(raw, ".")
	text, err := decodeSegment(head)
	var header struct {
		Alg string `json:"alg"`
	}
	if err != nil || strings.Count(raw, ".") != 2 || json.Unmarshal(text, &header) != nil {
		return ReasonMalformed, errors.New("the ID token is no JWT")
	}
	if !slices.Contains(algs, header.Alg) {
		return ReasonAlg, fmt.Errorf("algorithm %.40q is not one of %q", header.Alg, algs)
	}
	return "", nil
}

// whyNot names the check that go-oidc found failing. It reads claims only once
// their signature held.
func (x *exchange) whyNot(keys *keySet, err error) Reason {
	if keys.why != "" {
		return keys.why
	}
	var c idClaims
	switch {
	case keys.payload == nil || json.Unmarshal(keys.payload, &c) != nil:
		return ReasonMalformed
	case c.Issuer != x.meta.issuer:
		return ReasonIssuer
	case !slices.Contains(c.Audience, x.idp.Settings.OIDC.ClientID):
		return ReasonAudience
	}
	if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return ReasonExpired
	}
	return ReasonNotYet
}

// wrongParty checks azp: a token for several must say that it was issued to us
// (OpenID Connect Core, 3.1.3.7, 3 to 5).
func (c *idClaims) wrongParty(client string) string {
	switch {
	case c.Authorized != nil && *c.Authorized != client:
		return fmt.Sprintf("issued to %.100q", *c.Authorized)
	case c.Authorized == nil && len(c.Audience) > 1:
		return "several audiences and no azp"
	}
	return ""
}

func (c *idClaims) wrongIssue(now time.Time) string {
	switch {
	case c.Issued == nil || c.Expiry == nil:
		return "iat or exp is missing"
	case c.Issued.time().After(now.Add(skew)):
		return fmt.Sprintf("issued at %s, which is still to come", c.Issued.time())
	}
	return ""
}

// wrongHash checks at_hash, which ties the access token to the ID token. The code
// flow may leave it out (OpenID Connect Core, 3.1.3.6).
func (c *idClaims) wrongHash(signed *oidc.IDToken, accessToken string) string {
	if c.AtHash == nil {
		return ""
	}
	return sayOf(signed.VerifyAccessToken(accessToken))
}

// wrongAge checks that the provider did what max_age asked for (OpenID Connect
// Core, 3.1.2.1).
func (c *idClaims) wrongAge(f *flow) string {
	if f.MaxAge == nil {
		return ""
	}
	if c.AuthTime == nil {
		return "max_age was sent and auth_time is missing"
	}
	oldest := f.Begun.Add(-time.Duration(*f.MaxAge)*time.Second - skew)
	return unless(!c.AuthTime.time().Before(oldest), fmt.Sprintf("signed in at %s, before %s", c.AuthTime.time(), oldest))
}

func unless(ok bool, say string) string {
	if ok {
		return ""
	}
	return say
}

func sayOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// protocol are the claims of an ID token that are about the token or the
// sign-in: no userinfo answer may set them.
var protocol = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash", "auth_time", "acr", "amr", "sid",
}

// personOf reads verified claims. Those about the token alone are no attributes.
func personOf(claims map[string]any) Person {
	standard(claims)
	for _, name := range []string{"exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash", "s_hash"} {
		delete(claims, name)
	}
	who := Person{Attributes: claims}
	who.Subject, _ = claims["sub"].(string)
	who.ACR, _ = claims["acr"].(string)
	who.SessionID, _ = claims["sid"].(string)
	list, _ := claims["amr"].([]any)
	for _, m := range list {
		if m, ok := m.(string); ok {
			who.AMR = append(who.AMR, m)
		}
	}
	if n, ok := claims["auth_time"].(json.Number); ok {
		if at, err := n.Float64(); err == nil && at > 0 {
			who.AuthTime = seconds(at).time()
		}
	}
	return who
}
