package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// TokenSet is the answer of the token endpoint (RFC 6749, section 5.1, with the
// contract's grant_id).
type TokenSet struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	GrantID      string `json:"grant_id,omitempty"`
}

// ScopeOffline asks for a refresh token (OpenID Connect Core 1.0, section 11).
const ScopeOffline = "offline_access"

// Redeem spends an authorization code of an authenticated client (RFC 6749,
// section 4.1.3; PKCE by RFC 7636, section 4.6).
func (s *Service) Redeem(ctx context.Context, space *live.Space, c *client.Client, code, redirectURI, verifier string) (TokenSet, error) {
	v, err := s.spend(ctx, space, c.ClientID, code, redirectURI, verifier)
	if err != nil {
		return TokenSet{}, err
	}
	if v.Terms.ClientEpoch != c.Epoch {
		return TokenSet{}, refuse("invalid_grant", "The code was issued to a client that no longer exists.", nil)
	}
	if err := s.usable(ctx, space, v.Terms); err != nil {
		return TokenSet{}, err
	}
	set, err := s.tokens(ctx, space, c, v.Terms, v.Grant)
	if err != nil {
		return TokenSet{}, err
	}
	if s.Marks.Dead(v.Terms.Ref(space.Tenant, v.Grant, v.Created)) { // while they were signed, so that they are younger
		return TokenSet{}, refuse("invalid_grant", "What the code stands for has ended.", nil)
	}
	if slices.Contains(v.Terms.Scopes, ScopeOffline) && slices.Contains(c.GrantTypes, "refresh_token") {
		set.RefreshToken, err = s.Grants.Start(ctx, space.Tenant, v.Grant, v.Terms, space.RefreshTTL(c))
		if errors.Is(err, grant.ErrInvalid) {
			return TokenSet{}, refuse("invalid_grant", "The code was used more than once.", err)
		}
		if err != nil {
			return TokenSet{}, err
		}
	}
	return set, nil
}

// spend checks a code against the request and uses it up. A second use ends the
// grant of the first.
func (s *Service) spend(ctx context.Context, space *live.Space, clientID, code, redirectURI, verifier string) (grant.Code, error) {
	v, err := s.Codes.Look(ctx, space.Tenant, code)
	if errors.Is(err, grant.ErrInvalid) {
		return v, refuse("invalid_grant", "The code is unknown, expired or was used before.", err)
	}
	if err != nil {
		return v, err
	}
	switch {
	case s.Marks.Dead(v.Terms.Ref(space.Tenant, v.Grant, v.Created)):
		return v, refuse("invalid_grant", "What the code was issued for has been revoked.", nil)
	case v.Terms.Workspace != space.ID || v.Terms.WorkspaceEpoch != space.Epoch || v.Terms.Client != clientID:
		return v, refuse("invalid_grant", "The code was issued to another client.", nil)
	case redirectURI != v.RedirectURI && (v.Named || redirectURI != ""):
		return v, refuse("invalid_grant", "redirect_uri is not the one of the authorization request.", nil)
	case v.Challenge == "" && verifier != "":
		return v, refuse("invalid_grant", "code_verifier was sent, but the authorization request had no code_challenge.", nil)
	case v.Challenge != "" && !matches(v.Challenge, verifier):
		return v, refuse("invalid_grant", "code_verifier does not match the code_challenge.", nil)
	}
	reused, err := s.Codes.Spend(ctx, space.Tenant, code, v)
	if errors.Is(err, grant.ErrInvalid) {
		s.Log.Warn("authorization code used twice: its grant ends", "tenant", space.Tenant, "client", clientID, "grant", reused)
		err = errors.Join(err, s.Grants.End(ctx, space.Tenant, reused), s.record(ctx, space, audit.SubjectAuthorizationCode, audit.ActionDenied,
			map[string]any{"reason": "used twice", "grant_id": reused, "client_id": clientID}))
		return v, refuse("invalid_grant", "The code was used before.", err)
	}
	return v, err
}

// matches compares a PKCE verifier with its S256 challenge in constant time.
func matches(challenge, verifier string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// usable refuses terms whose session or user has ended since they were given.
func (s *Service) usable(ctx context.Context, space *live.Space, t grant.Terms) error {
	if t.Session != "" && !slices.Contains(t.Scopes, ScopeOffline) {
		if _, err := s.Sessions.ByID(ctx, space.Tenant, t.Session); err != nil {
			return unless(err, refuse("invalid_grant", "The session has ended.", err))
		}
	}
	if t.User == "" {
		return nil
	}
	_, ok, err := s.activeUser(ctx, space.Tenant, t.Pool, t.User, t.UserEpoch)
	if err == nil && !ok {
		return refuse("invalid_grant", "The user can no longer sign in.", nil)
	}
	return err
}

// Refresh spends a refresh token. A scope may narrow what was granted (RFC
// 6749, section 6).
func (s *Service) Refresh(ctx context.Context, space *live.Space, c *client.Client, refresh string, scopes []string) (TokenSet, error) {
	next, renewal, err := s.Grants.Refresh(ctx, space.Tenant, c.ClientID, refresh, func(r grant.Renewal) error {
		return s.renewable(ctx, space, c, r.Terms, scopes)
	})
	if errors.Is(err, grant.ErrReused) {
		err = errors.Join(err, s.record(ctx, space, audit.SubjectAccessToken, audit.ActionDenied,
			map[string]any{"reason": "refresh token used twice", "client_id": c.ClientID}))
	}
	if errors.Is(err, grant.ErrInvalid) {
		return TokenSet{}, refuse("invalid_grant", "The refresh token is unknown, expired or was used before.", err)
	}
	if err != nil {
		return TokenSet{}, err
	}
	t := renewal.Terms
	if len(scopes) > 0 {
		t.Scopes = distinct(scopes)
	}
	t.Nonce = "" // OpenID Connect Core 1.0, section 12.2
	set, err := s.tokens(ctx, space, c, t, renewal.Grant)
	if err != nil {
		return TokenSet{}, err
	}
	set.RefreshToken = next
	return set, nil
}

// renewable refuses terms that no token may be made of any more, and scopes that
// they do not hold. It is asked before the refresh token is spent.
func (s *Service) renewable(ctx context.Context, space *live.Space, c *client.Client, t grant.Terms, scopes []string) error {
	if t.Workspace != space.ID || t.WorkspaceEpoch != space.Epoch || t.ClientEpoch != c.Epoch {
		return refuse("invalid_grant", "The refresh token belongs to another workspace or client.", nil)
	}
	if len(merge(scopes, t.Scopes)) != len(scopes) {
		return refuse("invalid_scope", "scope asks for more than was granted: "+strings.Join(t.Scopes, " "), nil)
	}
	return s.usable(ctx, space, t)
}

// distinct returns each scope once.
func distinct(scopes []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(scopes)))
}

// ClientCredentials gives a client tokens of its own (RFC 6749, section 4.4).
// Without scopes it gets all that it is subscribed to.
func (s *Service) ClientCredentials(ctx context.Context, space *live.Space, c *client.Client, scopes []string) (TokenSet, error) {
	if c.TokenEndpointAuthMethod == "none" {
		return TokenSet{}, refuse("unauthorized_client", "A public client cannot use client_credentials.", nil)
	}
	own := ownScopes(c)
	if len(scopes) == 0 {
		scopes = own
	}
	if granted := merge(scopes, own); len(granted) != len(scopes) {
		return TokenSet{}, refuse("invalid_scope", "The client may ask for: "+strings.Join(own, " "), nil)
	}
	t := grant.Terms{
		Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: c.ClientID, ClientEpoch: c.Epoch,
		Subject: c.ClientID, Scopes: distinct(scopes), AuthTime: s.Now(),
	}
	return s.tokens(ctx, space, c, t, "")
}

// ownScopes are the scopes a client may have without a person.
func ownScopes(c *client.Client) []string {
	person := []string{"openid", ScopeOffline, "profile", "email", "address", "phone"}
	return slices.DeleteFunc(slices.Clone(c.Scopes), func(x string) bool { return slices.Contains(person, x) })
}

// tokens signs an access token, and an ID token where a person granted openid.
func (s *Service) tokens(ctx context.Context, space *live.Space, c *client.Client, t grant.Terms, grantID string) (TokenSet, error) {
	ttl := space.AccessTTL(c)
	scope := strings.Join(t.Scopes, " ")
	claims, err := customClaims(space, "access_token", false, t)
	if err != nil {
		return TokenSet{}, err
	}
	set(claims, token.Claims{
		"sub": t.Subject, "aud": s.audience(space, c), "client_id": c.ClientID, "scope": scope, "scp": t.Scopes,
		"tid": space.Tenant, "aid": space.ID, "st": "public", "nbf": s.Now().Unix(),
	})
	optional(claims, "sid", t.Session)
	optional(claims, "grant_id", grantID)
	optional(claims, "idp", t.IDP)
	optional(claims, "pool_id", t.Pool)
	optional(claims, "idp_sub", t.User)
	optional(claims, "acr", t.ACR)
	if len(t.AMR) > 0 {
		claims["amr"] = t.AMR
	}
	if t.User != "" {
		claims["auth_time"] = t.AuthTime.Unix() // RFC 9068, section 2.2.1
	}
	access, err := s.Tokens.Sign(ctx, space.Token(), token.Access, "", claims, ttl)
	if err != nil {
		return TokenSet{}, err
	}
	result := TokenSet{AccessToken: access, TokenType: "bearer", ExpiresIn: int64(ttl / time.Second), Scope: scope, GrantID: grantID}
	if t.User != "" && slices.Contains(t.Scopes, "openid") {
		result.IDToken, err = s.idToken(ctx, space, c, t, access)
		if err != nil {
			return TokenSet{}, err
		}
	}
	err = s.record(ctx, space, audit.SubjectAccessToken, audit.ActionIssued, map[string]any{
		"client_id": c.ClientID, "subject": t.Subject, "grant_id": grantID, "scopes": t.Scopes,
	})
	return result, err
}

func (s *Service) idToken(ctx context.Context, space *live.Space, c *client.Client, t grant.Terms, access string) (string, error) {
	claims, err := customClaims(space, "id_token", false, t)
	if err != nil {
		return "", err
	}
	half := sha256.Sum256([]byte(access))
	set(claims, token.Claims{
		"sub": t.Subject, "aud": c.ClientID, "auth_time": t.AuthTime.Unix(), "sid": t.Session,
		"at_hash": base64.RawURLEncoding.EncodeToString(half[:16]), // OpenID Connect Core 1.0, section 3.1.3.6
		"tid":     space.Tenant, "aid": space.ID,
	})
	optional(claims, "nonce", t.Nonce)
	optional(claims, "acr", t.ACR)
	optional(claims, "idp", t.IDP)
	if len(t.AMR) > 0 {
		claims["amr"] = t.AMR
	}
	return s.Tokens.Sign(ctx, space.Token(), token.ID, c.IDTokenSignedResponseAlg, claims, space.IDTTL(c))
}

// audience is who may accept a client's access tokens. Clients of the built-in
// workspaces call the API.
func (s *Service) audience(space *live.Space, c *client.Client) []string {
	aud := append([]string{c.ClientID}, c.Audience...)
	if space.BuiltIn() {
		aud = append(aud, s.APIAudience())
	}
	return aud
}

// APIAudience is the audience that a token needs at the API.
func (s *Service) APIAudience() string { return s.Base + "/api" }

func set(into, from token.Claims) {
	for name, v := range from {
		into[name] = v
	}
}

func optional(c token.Claims, name, v string) {
	if v != "" {
		c[name] = v
	}
}

func unless(err, otherwise error) error {
	if isUnauthenticated(err) {
		return otherwise
	}
	return err
}

// redeemForHost spends a code that the proxy asked for and returns the session
// behind it and the nonce of the request.
func (s *Service) redeemForHost(ctx context.Context, space *live.Space, code, redirectURI, verifier string) (sessionID, nonce string, err error) {
	v, err := s.spend(ctx, space, ProxyClient, code, redirectURI, verifier)
	if err != nil {
		return "", "", err
	}
	return v.Terms.Session, v.Terms.Nonce, nil
}

// SealedChallenge returns a PKCE challenge whose verifier nobody knows: a code
// with it can be seen by anyone and redeemed by no one.
func SealedChallenge() string {
	_, challenge := newVerifier()
	return challenge
}

// newVerifier returns a PKCE verifier and its S256 challenge.
func newVerifier() (verifier, challenge string) {
	verifier = vault.NewSecret()
	sum := sha256.Sum256([]byte(verifier))
	return verifier, base64.RawURLEncoding.EncodeToString(sum[:])
}
