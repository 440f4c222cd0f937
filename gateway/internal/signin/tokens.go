package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
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
	Issued       string `json:"issued_token_type,omitempty"` // of an exchange (RFC 8693, section 2.2.1)
}

// ScopeOffline asks for a refresh token (OpenID Connect Core 1.0, section 11).
const ScopeOffline = "offline_access"

// Redemption is a request for what an authorization code stands for.
type Redemption struct {
	Code        string
	RedirectURI string
	Verifier    string // of PKCE
}

// Redeem spends an authorization code of an authenticated client (RFC 6749,
// section 4.1.3; PKCE by RFC 7636, section 4.6).
func (s *Service) Redeem(ctx context.Context, space *live.Space, c *client.Client, by Holder, r Redemption) (TokenSet, error) {
	v, err := s.spend(ctx, space, c.ClientID, by, r)
	if err != nil {
		return TokenSet{}, err
	}
	if v.Terms.ClientEpoch != c.Epoch {
		return TokenSet{}, refuse("invalid_grant", "The code was issued to a client that no longer exists.", nil)
	}
	if err := s.usable(ctx, space, v.Terms); err != nil {
		return TokenSet{}, err
	}
	granted := v.Terms // what the client may still be given; the grant keeps what the person allowed
	granted.Scopes = merge(granted.Scopes, c.Scopes)
	set, err := s.tokens(ctx, space, c, issue{terms: granted, grant: v.Grant, by: by})
	if err != nil {
		return TokenSet{}, err
	}
	if s.Marks.Dead(v.Terms.Ref(space.Tenant, v.Grant, v.Created)) { // while they were signed, so that they are younger
		return TokenSet{}, refuse("invalid_grant", "What the code stands for has ended.", nil)
	}
	if slices.Contains(granted.Scopes, ScopeOffline) && slices.Contains(c.GrantTypes, "refresh_token") {
		set.RefreshToken, err = s.Grants.Start(ctx, space.Tenant, v.Grant, keyed(v.Terms, c, by), space.RefreshTTL(c))
		if errors.Is(err, grant.ErrInvalid) {
			return TokenSet{}, refuse("invalid_grant", "The code was used more than once.", err)
		}
		if err != nil {
			return TokenSet{}, err
		}
	}
	return set, nil
}

// keyed binds a refresh token of a client without a credential of its own to the
// key that was proven (RFC 9449, section 5); others are bound to their client.
func keyed(t grant.Terms, c *client.Client, by Holder) grant.Terms {
	t.DPoPKey = ""
	if c.Public() {
		t.DPoPKey = by.Key
	}
	return t
}

// spend checks a code against the request and uses it up. A second use ends the
// grant of the first.
func (s *Service) spend(ctx context.Context, space *live.Space, clientID string, by Holder, r Redemption) (grant.Code, error) {
	v, err := s.Codes.Look(ctx, space.Tenant, r.Code)
	if errors.Is(err, grant.ErrInvalid) {
		return v, refuse("invalid_grant", "The code is unknown, expired or was used before.", err)
	}
	if err != nil {
		return v, err
	}
	if err := s.redeemable(space, clientID, by, r, v); err != nil {
		return v, err
	}
	if err := s.SpendProof(ctx, space, by); err != nil { // a proof that was used before leaves the code as it was
		return v, err
	}
	reused, err := s.Codes.Spend(ctx, space.Tenant, r.Code, v)
	if errors.Is(err, grant.ErrInvalid) {
		s.Log.Warn("authorization code used twice: its grant ends", "tenant", space.Tenant, "client", clientID, "grant", reused)
		err = errors.Join(err, s.Grants.End(ctx, space.Tenant, reused), s.record(ctx, space, audit.SubjectAuthorizationCode, audit.ActionDenied,
			map[string]any{"reason": "used twice", "grant_id": reused, "client_id": clientID}))
		return v, refuse("invalid_grant", "The code was used before.", err)
	}
	return v, err
}

// redeemable compares a code with the request that brings it.
func (s *Service) redeemable(space *live.Space, clientID string, by Holder, r Redemption, v grant.Code) error {
	switch {
	case s.Marks.Dead(v.Terms.Ref(space.Tenant, v.Grant, v.Created)):
		return refuse("invalid_grant", "What the code was issued for has been revoked.", nil)
	case v.Terms.Workspace != space.ID || v.Terms.WorkspaceEpoch != space.Epoch || v.Terms.Client != clientID:
		return refuse("invalid_grant", "The code was issued to another client.", nil)
	case r.RedirectURI != v.RedirectURI && (v.Named || r.RedirectURI != ""):
		return refuse("invalid_grant", "redirect_uri is not the one of the authorization request.", nil)
	case v.Challenge == "" && r.Verifier != "":
		return refuse("invalid_grant", "code_verifier was sent, but the authorization request had no code_challenge.", nil)
	case v.Challenge != "" && !matches(v.Challenge, r.Verifier):
		return refuse("invalid_grant", "code_verifier does not match the code_challenge.", nil)
	}
	return proves(v.Terms.DPoPKey, by, "code") // RFC 9449, section 10
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
// 6749, section 6). Where the workspace does not cycle refresh tokens the same one
// stays good.
func (s *Service) Refresh(ctx context.Context, space *live.Space, c *client.Client, by Holder, refresh string, scopes []string) (TokenSet, error) {
	renew := s.Grants.Refresh
	if space.Workspace.Advanced.DisableRefreshTokenCycling {
		renew = s.Grants.Reuse
	}
	next, renewal, err := renew(ctx, space.Tenant, c.ClientID, refresh, func(r *grant.Renewal) error {
		if err := proves(r.Terms.DPoPKey, by, "refresh token"); err != nil {
			return err
		}
		t := r.Terms
		t.Scopes = merge(t.Scopes, c.Scopes)
		if err := s.renewable(ctx, space, c, t, scopes); err != nil {
			return err
		}
		if c.Public() && by.Key != "" {
			r.Terms.DPoPKey = by.Key // the first that it proves binds the family
		}
		return s.SpendProof(ctx, space, by)
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
	t.Scopes = merge(t.Scopes, c.Scopes)
	if len(scopes) > 0 {
		t.Scopes = distinct(scopes)
	}
	t.Nonce = "" // OpenID Connect Core 1.0, section 12.2
	set, err := s.tokens(ctx, space, c, issue{terms: t, grant: renewal.Grant, by: by})
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
		return refuse("invalid_scope", "scope asks for more than was granted and the client may still have: "+strings.Join(t.Scopes, " "), nil)
	}
	return s.usable(ctx, space, t)
}

// distinct returns each scope once.
func distinct(scopes []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(scopes)))
}

// ClientCredentials gives a client tokens of its own (RFC 6749, section 4.4).
// Without scopes it gets all that it is subscribed to.
func (s *Service) ClientCredentials(ctx context.Context, space *live.Space, c *client.Client, by Holder, scopes []string) (TokenSet, error) {
	if c.Public() {
		return TokenSet{}, refuse("unauthorized_client", "A public client cannot use client_credentials.", nil)
	}
	return s.own(ctx, space, c, by, scopes)
}

// JWTBearer gives a client tokens of its own for an assertion that it signed (RFC
// 7523, section 2.1): see Vouch.
func (s *Service) JWTBearer(
	ctx context.Context, space *live.Space, c *client.Client, by Holder, assertion string, scopes []string,
) (TokenSet, error) {
	if _, err := s.Vouch(ctx, space, c, assertion); err != nil {
		return TokenSet{}, err
	}
	return s.own(ctx, space, c, by, scopes)
}

func (s *Service) own(ctx context.Context, space *live.Space, c *client.Client, by Holder, scopes []string) (TokenSet, error) {
	own := ownScopes(c)
	if len(scopes) == 0 {
		scopes = own
	}
	if granted := merge(scopes, own); len(granted) != len(scopes) {
		return TokenSet{}, refuse("invalid_scope", "The client may ask for: "+strings.Join(own, " "), nil)
	}
	return s.tokens(ctx, space, c, issue{terms: s.ownTerms(space, c, scopes), by: by})
}

// ownTerms are what a client has without a person.
func (s *Service) ownTerms(space *live.Space, c *client.Client, scopes []string) grant.Terms {
	return grant.Terms{
		Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: c.ClientID, ClientEpoch: c.Epoch,
		Subject: c.ClientID, Scopes: distinct(scopes), AuthTime: s.Now(),
	}
}

// ownScopes are the scopes a client may have without a person.
func ownScopes(c *client.Client) []string {
	person := []string{"openid", ScopeOffline, "profile", "email", "address", "phone"}
	return slices.DeleteFunc(slices.Clone(c.Scopes), func(x string) bool { return slices.Contains(person, x) })
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
	v, err := s.spend(ctx, space, ProxyClient, Holder{}, Redemption{code, redirectURI, verifier})
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
