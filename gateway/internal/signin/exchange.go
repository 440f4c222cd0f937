package signin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Types of tokens (RFC 8693, section 3).
const (
	typeAccess = "urn:ietf:params:oauth:token-type:access_token"
	typeJWT    = "urn:ietf:params:oauth:token-type:jwt"
)

// Exchange is a request for one access token in the place of another (RFC 8693,
// section 2.1).
type Exchange struct {
	Subject, SubjectType string // the token of whom the result is about
	Actor, ActorType     string // the token of who acts for them; empty: the client itself
	Requested            string // the type of the result; empty: an access token
	Targets              []string
	Scopes               []string
}

// Exchange gives a client an access token for the subject of another one. It says
// and may do less, never more: the scopes are those that both the subject's token
// and the client have, it ends no later, and whatever ends the subject's token
// before its time ends this one as well. There is no refresh token. The
// subject's token must have been issued to the client or be meant for it, so that
// nobody trades in what they found; one that is bound to a key needs its proof.
func (s *Service) Exchange(ctx context.Context, space *live.Space, c *client.Client, by Holder, x Exchange) (TokenSet, error) {
	if c.Public() {
		return TokenSet{}, refuse("unauthorized_client", "A public client cannot exchange tokens.", nil)
	}
	if err := s.checkTypes(space, x); err != nil {
		return TokenSet{}, err
	}
	subject, err := s.traded(ctx, space, c, by, x.Subject, "subject_token")
	if err != nil {
		return TokenSet{}, err
	}
	actor, err := s.actorOf(ctx, space, c, by, x, subject)
	if err != nil {
		return TokenSet{}, err
	}
	audience, err := s.targets(space, c, x.Targets)
	if err != nil {
		return TokenSet{}, err
	}
	terms, err := s.tradedTerms(ctx, space, c, subject)
	if err != nil {
		return TokenSet{}, err
	}
	terms.Actor = actor
	if terms.Scopes, err = narrowed(subject, c, x.Scopes); err != nil {
		return TokenSet{}, err
	}
	via := append([]hop{{subject.Client, subject.Claims.String("jti")}}, hops(subject.Claims)...)
	if len(via) > maxHops {
		return TokenSet{}, refuse("invalid_request", fmt.Sprintf("The subject_token was exchanged %d times already.", maxHops), nil)
	}
	set, err := s.tokens(ctx, space, c, issue{
		terms: terms, grant: subject.Claims.String("grant_id"), by: by, audience: audience, via: via,
		life: subject.Expires.Sub(s.Now()), alone: true,
	})
	if err != nil {
		return TokenSet{}, err
	}
	if s.revoked(subject) { // while the other was signed, which is therefore younger than the end
		return TokenSet{}, refuse("invalid_request", "The subject_token has been revoked.", nil)
	}
	set.Issued = typeAccess
	if x.Requested == typeJWT {
		set.Issued = typeJWT
	}
	return set, nil
}

// hop is a token that another one was exchanged for.
type hop struct {
	Client string `json:"client_id"`
	Token  string `json:"jti"`
}

const (
	claimVia = "via" // the hops behind a token, the last one first
	maxHops  = 5
)

// hops returns what a token was exchanged for, directly or not.
func hops(c token.Claims) []hop {
	list, _ := c[claimVia].([]any)
	via := make([]hop, 0, len(list))
	for _, v := range list {
		h, _ := v.(map[string]any)
		via = append(via, hop{token.Claims(h).String("client_id"), token.Claims(h).String("jti")})
	}
	return via
}

// checkTypes refuses what is not an access token, by its declared type.
func (s *Service) checkTypes(space *live.Space, x Exchange) error {
	access := []string{typeAccess, typeJWT}
	switch {
	case x.Subject == "":
		return refuse("invalid_request", "subject_token is required.", nil)
	case !slices.Contains(access, x.SubjectType):
		return refuse("invalid_request", "subject_token_type may be "+strings.Join(access, ", ")+".", nil)
	case (x.Actor == "") != (x.ActorType == ""):
		return refuse("invalid_request", "actor_token and actor_token_type come together.", nil)
	case x.Actor != "" && !slices.Contains(access, x.ActorType):
		return refuse("invalid_request", "actor_token_type may be "+strings.Join(access, ", ")+".", nil)
	case x.Requested != "" && !slices.Contains(access, x.Requested):
		return refuse("invalid_request", "requested_token_type may be "+strings.Join(access, ", ")+".", nil)
	case x.Requested == typeJWT && space.Workspace.AccessTokenStrategy == "opaque":
		return refuse("invalid_request", "The workspace's access tokens are opaque: ask for "+typeAccess+".", nil)
	}
	return nil
}

// traded verifies a token that a client sends in an exchange. What is wrong with
// it is invalid_request (RFC 8693, section 2.2.2).
func (s *Service) traded(ctx context.Context, space *live.Space, c *client.Client, by Holder, raw, name string) (*Bearer, error) {
	b, err := s.Held(ctx, space, "", raw, by)
	if isUnauthenticated(err) {
		return nil, refuse("invalid_request",
			"The "+name+" is not an access token of this workspace that is alive, or it is bound to a key that was not proven.", err)
	}
	if err != nil {
		return nil, err
	}
	if b.Client != c.ClientID && !slices.Contains(b.Claims.Strings("aud"), c.ClientID) {
		return nil, refuse("invalid_request", "The "+name+" was issued to another client and is not meant for this one: its aud lacks "+c.ClientID+".", nil)
	}
	return b, nil
}

// actorOf returns the act claim of the result: the present actor outside, those
// before it inside (RFC 8693, section 4.1). Without an actor token nobody is
// added. A may_act of the subject's token must name who acts, which without an
// actor token is the client (section 4.4).
func (s *Service) actorOf(
	ctx context.Context, space *live.Space, c *client.Client, by Holder, x Exchange, subject *Bearer,
) (json.RawMessage, error) {
	before := subject.Claims["act"]
	who := map[string]any{"iss": s.Tokens.Issuer(space.Tenant, space.ID), "sub": c.ClientID, "client_id": c.ClientID}
	if x.Actor != "" {
		actor, err := s.traded(ctx, space, c, by, x.Actor, "actor_token")
		if err != nil {
			return nil, err
		}
		who["sub"], who["client_id"] = actor.Subject, actor.Client
	}
	if may, ok := subject.Claims["may_act"]; ok && !named(may, who) {
		return nil, refuse("invalid_request", "The may_act of the subject_token names another actor.", nil)
	}
	if x.Actor != "" {
		act := map[string]any{"sub": who["sub"], "client_id": who["client_id"]}
		if before != nil {
			act["act"] = before
		}
		before = act
	}
	if before == nil {
		return nil, nil
	}
	raw, err := json.Marshal(before)
	if len(raw) > maxActors {
		return nil, refuse("invalid_request", "The chain of actors is too long.", nil)
	}
	return raw, err
}

// maxActors bounds the act claim of a chain of exchanges, in bytes.
const maxActors = 2 << 10

// named tells whether all that a may_act claim says is true of an actor. What it
// says beyond we cannot judge, and so it is not true.
func named(may any, who map[string]any) bool {
	want, ok := may.(map[string]any)
	if !ok || len(want) == 0 {
		return false
	}
	for name, v := range want {
		if text, ok := v.(string); !ok || who[name] != text {
			return false
		}
	}
	return true
}

// targets returns the audience of the result: what was asked for, if the client
// may address it; nil without a wish.
func (s *Service) targets(space *live.Space, c *client.Client, asked []string) ([]string, error) {
	known := s.audience(space, c)
	var audience []string
	for _, target := range asked {
		if !slices.Contains(known, target) {
			return nil, refuse("invalid_target", fmt.Sprintf("The client may address %s, not %q.", strings.Join(known, ", "), target), nil)
		}
		if !slices.Contains(audience, target) {
			audience = append(audience, target)
		}
	}
	return audience, nil
}

// tradedTerms are those of a subject's token, for another client.
func (s *Service) tradedTerms(ctx context.Context, space *live.Space, c *client.Client, b *Bearer) (grant.Terms, error) {
	t := grant.Terms{
		Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: c.ClientID, ClientEpoch: c.Epoch,
		Pool: b.Pool, User: b.User, Subject: b.ref.Subject, IDP: b.ref.IDP, Session: b.ref.Session,
		ACR: b.Claims.String("acr"), AMR: b.Claims.Strings("amr"), AuthTime: b.Claims.Time("auth_time"),
	}
	if b.User == "" {
		return t, nil
	}
	epoch, ok, err := s.activeUser(ctx, space.Tenant, b.Pool, b.User, "")
	if err == nil && !ok {
		err = refuse("invalid_request", "The user of the subject_token can no longer sign in.", nil)
	}
	if err != nil {
		return t, err
	}
	t.UserEpoch = epoch
	known, err := s.termsOf(ctx, space, b, true)
	if isUnauthenticated(err) {
		return t, refuse("invalid_request", "The session of the subject_token has ended.", err)
	}
	t.Context = known.Context
	return t, err
}

// narrowed returns the scopes of the result: those asked for, or else all that
// both the subject's token and the client have. offline_access is for refresh
// tokens, of which there is none here.
func narrowed(subject *Bearer, c *client.Client, asked []string) ([]string, error) {
	both := slices.DeleteFunc(merge(subject.Scopes, c.Scopes), func(x string) bool { return x == ScopeOffline })
	if len(asked) == 0 {
		return distinct(both), nil
	}
	if len(merge(asked, both)) != len(asked) {
		return nil, refuse("invalid_scope", "An exchange may ask for what the subject_token and the client both have: "+strings.Join(both, " "), nil)
	}
	return distinct(asked), nil
}
