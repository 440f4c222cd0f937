package signin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// issue is what tokens of a client are made from.
type issue struct {
	terms    grant.Terms
	grant    string        // id of the grant behind them, if any
	by       Holder        // whose keys they are bound to
	audience []string      // nil: all that the client may address
	via      []hop         // what it is exchanged for
	life     time.Duration // of the access token at most; 0: as long as the client's live
	alone    bool          // the access token only, whatever the scopes
}

// tokens signs an access token, and an ID token where a person granted openid.
func (s *Service) tokens(ctx context.Context, space *live.Space, c *client.Client, i issue) (TokenSet, error) {
	if err := Holds(c, i.by); err != nil {
		return TokenSet{}, err
	}
	if err := s.SpendProof(ctx, space, i.by); err != nil {
		return TokenSet{}, err
	}
	if err := s.joins(ctx, space, c, i.terms); err != nil {
		return TokenSet{}, err
	}
	ttl := space.AccessTTL(c)
	if i.life > 0 {
		ttl = min(ttl, i.life)
	}
	claims, err := s.accessClaims(space, c, i)
	if err != nil {
		return TokenSet{}, err
	}
	access, err := s.accessToken(ctx, space, claims, ttl)
	if err != nil {
		return TokenSet{}, err
	}
	if err := s.stillThere(ctx, space, c); err != nil {
		return TokenSet{}, err
	}
	result := TokenSet{
		AccessToken: access, TokenType: "bearer", ExpiresIn: int64(ttl / time.Second),
		Scope: strings.Join(i.terms.Scopes, " "), GrantID: i.grant,
	}
	if i.by.Key != "" {
		result.TokenType = "DPoP"
	}
	if i.terms.User != "" && !i.alone && slices.Contains(i.terms.Scopes, "openid") {
		result.IDToken, err = s.idToken(ctx, space, c, i.terms, access)
		if err != nil {
			return TokenSet{}, err
		}
	}
	err = s.record(ctx, space, audit.SubjectAccessToken, audit.ActionIssued, map[string]any{
		"client_id": c.ClientID, "subject": i.terms.Subject, "grant_id": i.grant, "scopes": i.terms.Scopes,
	})
	return result, err
}

// stillThere refuses what was signed for a client that was deleted or switched off
// meanwhile: it is younger than the mark of that. Whatever is signed before this
// gateway knows is older than the mark that follows; see [client.Clients.Delete].
func (s *Service) stillThere(ctx context.Context, space *live.Space, c *client.Client) error {
	now, err := s.Client(ctx, space, c.ClientID)
	if fault.Is(err, fault.NotFound) || (err == nil && (!now.Active() || now.Epoch != c.Epoch)) {
		return refuse("invalid_client", "The client is gone or inactive.", err)
	}
	return err
}

// accessClaims are what an access token says (RFC 9068, section 2.2).
func (s *Service) accessClaims(space *live.Space, c *client.Client, i issue) (token.Claims, error) {
	t := &i.terms
	claims, err := customClaims(space, c, client.ClaimAccessToken, false, *t)
	if err != nil {
		return nil, err
	}
	aud := i.audience
	if aud == nil {
		aud = s.audience(space, c)
	}
	sub, kind := subjectFor(space, c, *t)
	set(claims, token.Claims{
		"sub": sub, "st": kind, "aud": aud, "client_id": c.ClientID, "scope": strings.Join(t.Scopes, " "),
		"tid": space.Tenant, "aid": space.ID, "nbf": s.Now().Unix(),
	})
	if formats := space.Workspace.ScopeClaimFormats; len(formats) == 0 || slices.Contains(formats, "scp_array") {
		claims["scp"] = t.Scopes
	}
	optional(claims, "sid", t.Session)
	optional(claims, "grant_id", i.grant)
	optional(claims, "idp", t.IDP)
	optional(claims, "acr", t.ACR)
	if len(t.AMR) > 0 {
		claims["amr"] = t.AMR
	}
	if len(t.Actor) > 0 {
		claims["act"] = t.Actor
	}
	if names := askedNames(*t); len(names) > 0 {
		claims[claimAsked] = names
	}
	if t.User != "" {
		claims["auth_time"] = t.AuthTime.Unix() // RFC 9068, section 2.2.1
	}
	if len(i.via) > 0 {
		claims[claimVia] = i.via
	}
	if cnf := i.by.confirmation(); len(cnf) > 0 {
		claims["cnf"] = cnf
	}
	return claims, s.person(claims, space, *t, kind)
}

// person says in an access token whose it is, for ourselves: what ends people and
// subjects must find the token. Where the subject is pairwise, what would betray
// the person to the client's resources is sealed.
func (s *Service) person(claims token.Claims, space *live.Space, t grant.Terms, kind string) error {
	if kind != client.Pairwise {
		optional(claims, "pool_id", t.Pool)
		optional(claims, "idp_sub", t.User)
		return nil
	}
	raw, err := json.Marshal(person{Pool: t.Pool, User: t.User, Subject: t.Subject})
	if err != nil {
		return fmt.Errorf("person: %w", err)
	}
	claims[claimPerson], err = s.Ring.Seal(raw, vault.AAD(space.Tenant, "access_tokens", space.ID, claimPerson))
	return err
}

// person is what the claim claimPerson seals.
type person struct {
	Pool    string `json:"pool"`
	User    string `json:"user"`
	Subject string `json:"subject"` // the public one
}

const claimPerson = "person"

// subjectFor returns the sub that a client learns of, and whether it is public or
// pairwise (OpenID Connect Core 1.0, section 8). A client's own name is public.
func subjectFor(space *live.Space, c *client.Client, t grant.Terms) (sub, kind string) {
	if t.User == "" || c.SubjectType != client.Pairwise {
		return t.Subject, "public"
	}
	return client.PairwiseSubject(space.Workspace.SubjectIdentifierSalt, c.Sector(), t.Subject), client.Pairwise
}

// accessToken makes the token of claims: a JWT, or random bits that stand for
// them, as the workspace has it.
func (s *Service) accessToken(ctx context.Context, space *live.Space, claims token.Claims, ttl time.Duration) (string, error) {
	if space.Workspace.AccessTokenStrategy != "opaque" {
		return s.Tokens.Sign(ctx, space.Token(), token.Access, "", claims, ttl)
	}
	now := s.Now()
	ends := now.Add(ttl)
	set(claims, token.Claims{
		"iss": s.Tokens.Issuer(space.Tenant, space.ID), "iat": now.Unix(), "exp": ends.Unix(), "jti": token.NewJTI(now),
	})
	raw, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	return s.Opaque.Issue(ctx, space.Tenant, grant.OpaqueToken{Workspace: space.ID, Epoch: space.Epoch, Claims: raw, Expires: ends})
}

func (s *Service) idToken(ctx context.Context, space *live.Space, c *client.Client, t grant.Terms, access string) (string, error) {
	claims, err := customClaims(space, c, client.ClaimIDToken, false, t)
	if err != nil {
		return "", err
	}
	half := sha256.Sum256([]byte(access))
	sub, _ := subjectFor(space, c, t)
	set(claims, token.Claims{
		"sub": sub, "aud": c.ClientID, "auth_time": t.AuthTime.Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(half[:16]), // OpenID Connect Core 1.0, section 3.1.3.6
		"tid":     space.Tenant, "aid": space.ID,
	})
	optional(claims, "sid", t.Session)
	optional(claims, "nonce", t.Nonce)
	optional(claims, "acr", t.ACR)
	through(claims, space, t.IDP)
	if len(t.AMR) > 0 {
		claims["amr"] = t.AMR
	}
	return s.Tokens.Sign(ctx, space.Token(), token.ID, c.IDTokenSignedResponseAlg, claims, space.IDTTL(c))
}

// through says by which IDP the person came, and of what kind it is.
func through(claims token.Claims, space *live.Space, idp string) {
	optional(claims, "idp", idp)
	if p, ok := space.IDP(idp); ok {
		claims["idp_method"] = p.Method
	}
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
