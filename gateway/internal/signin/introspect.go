package signin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Scopes that let a client look at, and end, the tokens of all clients of its
// workspace.
const (
	ScopeIntrospect = "introspect_tokens"
	ScopeRevoke     = "revoke_tokens"
)

// Asker is who asks about a token, or wants it to end: a client, or a person with
// an access token of one. The zero Asker may nothing.
type Asker struct {
	Client  string
	Subject string // the person, as tokens of the client name them; empty: the client itself, for all of its people
	All     bool   // for the tokens of the other clients of the workspace too
}

// ClientAsks returns the asker that an authenticated client is.
func ClientAsks(c *client.Client, scope string) Asker {
	return Asker{Client: c.ClientID, All: slices.Contains(c.Scopes, scope)}
}

// BearerAsks returns the asker behind an access token, or
// fault.Unauthenticated when its client is gone or inactive.
func (s *Service) BearerAsks(ctx context.Context, space *live.Space, b *Bearer, scope string) (Asker, error) {
	if c, err := s.activeClient(ctx, space, b.Client); err != nil {
		return Asker{}, err
	} else if c == nil {
		return Asker{}, errGone(b.Client)
	}
	a := Asker{Client: b.Client, All: b.Has(scope)}
	if b.User != "" || b.Subject != b.Client {
		a.Subject = b.Subject
	}
	return a, nil
}

// may tells whether a token of a client is the asker's business.
func (a Asker) may(clientID, subject string) bool {
	return a.All || (a.Client != "" && a.Client == clientID && (a.Subject == "" || a.Subject == subject))
}

// Inspection is a request for introspection.
type Inspection struct {
	Token   string
	Refresh bool // token_type_hint=refresh_token; a wrong hint costs time and nothing else
	Extend  bool // to look at a token of a session is to use the session
}

// Introspect says what a token means now (RFC 7662, section 2.2): its own claims,
// the workspace's custom ones at the top level and in ext, the opaque ones among
// them. Of a token that does not hold, and of one that is none of the asker's
// business, only that it is not active, and not why.
func (s *Service) Introspect(ctx context.Context, space *live.Space, who Asker, q Inspection) (token.Claims, error) {
	look := []func(context.Context, *live.Space, Asker, Inspection) (token.Claims, error){s.lookAtAccess, s.lookAtRefresh}
	if q.Refresh {
		slices.Reverse(look)
	}
	for _, try := range look {
		c, err := try(ctx, space, who, q)
		if err == nil {
			c["active"] = true
			return c, nil
		}
		if !errors.Is(err, errInactive) {
			return nil, err
		}
	}
	return token.Claims{"active": false}, nil
}

var errInactive = errors.New("the token is not active")

// inactive reads every refusal of a token as errInactive.
func inactive(err error) error {
	var f *fault.Error
	switch {
	case errors.Is(err, grant.ErrInvalid), fault.Is(err, fault.NotFound), isUnauthenticated(err):
		return errInactive
	case errors.As(err, &f) && f.Code == "invalid_grant":
		return errInactive
	}
	return err
}

func (s *Service) lookAtAccess(ctx context.Context, space *live.Space, who Asker, q Inspection) (token.Claims, error) {
	b, err := s.Inspect(ctx, space, q.Token)
	if err != nil {
		return nil, inactive(err)
	}
	if !who.may(b.Client, b.Subject) {
		return nil, errInactive
	}
	c, err := s.owned(ctx, space, b)
	if err != nil {
		return nil, inactive(err)
	}
	t, err := s.termsOf(ctx, space, b, q.Extend)
	if err = inactive(err); err != nil && !errors.Is(err, errInactive) { // without a context it is active all the same
		return nil, err
	}
	t.Scopes = b.Scopes
	custom, err := customClaims(space, c, client.ClaimAccessToken, true, t)
	if err != nil {
		return nil, err
	}
	for name, v := range b.Claims {
		if !client.Protected(name) {
			custom[name] = v
		}
	}
	out := token.Claims{"token_type": "access_token", "sub": b.Subject, "client_id": b.Client, "scope": strings.Join(b.Scopes, " ")}
	if b.Bound.Key != "" {
		out["token_type"] = "DPoP" // RFC 9449, section 6.2
	}
	for _, name := range []string{"iss", "aud", "exp", "iat", "nbf", "jti", "auth_time", "acr", "amr", "idp", "idp_sub", "act", "may_act", "cnf"} {
		if v, ok := b.Claims[name]; ok {
			out[name] = v
		}
	}
	return described(space, out, custom, t, b.Claims.String("st")), nil
}

// owned returns the client of a token, or a refusal when the client or the person
// may no longer do anything.
func (s *Service) owned(ctx context.Context, space *live.Space, b *Bearer) (*client.Client, error) {
	c, err := s.activeClient(ctx, space, b.Client)
	if err == nil && c == nil {
		err = errGone(b.Client)
	}
	if err != nil || b.User == "" || b.Pool == "" {
		return c, err
	}
	_, ok, err := s.activeUser(ctx, space.Tenant, b.Pool, b.User, "")
	if err == nil && !ok {
		err = errBearer(fmt.Errorf("user %s is gone or inactive", b.User))
	}
	return c, err
}

func errGone(clientID string) error {
	return errBearer(fmt.Errorf("client %s is gone or inactive", clientID))
}

func (s *Service) lookAtRefresh(ctx context.Context, space *live.Space, who Asker, q Inspection) (token.Claims, error) {
	g, err := s.Grants.Look(ctx, space.Tenant, q.Token)
	if err != nil {
		return nil, inactive(err)
	}
	t := g.Terms
	c, err := s.activeClient(ctx, space, t.Client)
	if err != nil {
		return nil, err
	}
	if c == nil || !g.Good || t.Workspace != space.ID || t.WorkspaceEpoch != space.Epoch || t.ClientEpoch != c.Epoch {
		return nil, errInactive
	}
	sub, kind := subjectFor(space, c, t)
	if !who.may(c.ClientID, sub) {
		return nil, errInactive
	}
	if err := s.usable(ctx, space, t); err != nil {
		return nil, inactive(err)
	}
	custom, err := customClaims(space, c, client.ClaimAccessToken, true, t)
	if err != nil {
		return nil, err
	}
	out := token.Claims{
		"token_type": "refresh_token", "sub": sub, "client_id": c.ClientID, "scope": strings.Join(t.Scopes, " "),
		"iss": s.Tokens.Issuer(space.Tenant, space.ID), "aud": []string{c.ClientID}, "iat": g.Created.Unix(), "exp": g.Expires.Unix(),
		"auth_time": t.AuthTime.Unix(),
	}
	optional(out, "idp", t.IDP)
	optional(out, "acr", t.ACR)
	if len(t.AMR) > 0 {
		out["amr"] = t.AMR
	}
	if len(t.Actor) > 0 {
		out["act"] = t.Actor
	}
	if t.DPoPKey != "" {
		out["cnf"] = map[string]any{"jkt": t.DPoPKey}
	}
	if kind != client.Pairwise {
		optional(out, "idp_sub", t.User)
	}
	return described(space, out, custom, t, kind), nil
}

// described adds what is said of every token. Custom claims come first, so that
// none replaces what a token is. A pairwise subject has no name.
func described(space *live.Space, out, custom token.Claims, t grant.Terms, kind string) token.Claims {
	all := maps.Clone(custom)
	delete(all, "username")
	set(all, out)
	all["tenant_id"], all["server_id"] = space.Tenant, space.ID
	delete(all, "ext")
	if len(custom) > 0 {
		all["ext"] = custom
	}
	if kind != client.Pairwise {
		optional(all, "username", username(t))
	}
	return all
}

// username is what a person calls themselves when they sign in.
func username(t grant.Terms) string {
	var known authctx.Context
	if len(t.Context) == 0 || known.UnmarshalJSON(t.Context) != nil {
		return ""
	}
	return known.String("preferred_username")
}
