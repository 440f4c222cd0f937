package signin

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Bearer is a verified access token. It must not be changed.
type Bearer struct {
	Claims    token.Claims
	Client    string
	Subject   string // as the token says it: a pairwise one says nothing elsewhere
	Pool      string // with User: the person behind it, if any
	User      string
	Session   string
	Scopes    []string
	Expires   time.Time
	Bound     Holder // what its holder must prove; zero: nothing
	ref       grant.Ref
	before    []grant.Ref // of the tokens that it was exchanged for
	epoch     string
	workspace string
	key       string        // that signed it; empty for an opaque one
	keyed     atomic.Uint64 // the generation of the keys that it was found to verify at
	checked   atomic.Uint64 // the generation of the marks, and one, that it was found alive at
	memo      sync.Once
	memoized  any
}

// Memo returns what build made the first time it was asked for this token. The
// proxy keeps ready header bytes there.
func (b *Bearer) Memo(build func() any) any {
	b.memo.Do(func() { b.memoized = build() })
	return b.memoized
}

// Has tells whether the token carries scope.
func (b *Bearer) Has(scope string) bool { return slices.Contains(b.Scopes, scope) }

// Bearer verifies an access token of a workspace for an audience; an empty
// audience is not checked. The signature is checked once and remembered until
// the token ends; revocation, of the token and of the key that signed it, is checked
// on every call. What does not hold is
// fault.Unauthenticated; so is a token that is bound to a key, which whoever
// found it could send as well (RFC 9449, section 7.1): that needs Held.
func (s *Service) Bearer(ctx context.Context, space *live.Space, audience, raw string) (*Bearer, error) {
	return s.Held(ctx, space, audience, raw, Holder{})
}

// Held is Bearer for a caller who has proven something about keys.
func (s *Service) Held(ctx context.Context, space *live.Space, audience, raw string, by Holder) (*Bearer, error) {
	b, err := s.Inspect(ctx, space, raw)
	switch {
	case err != nil:
		return nil, err
	case audience != "" && !slices.Contains(b.Claims.Strings("aud"), audience):
		return nil, errBearer(errors.New("wrong audience"))
	case !by.satisfies(b.Bound):
		return nil, errBearer(errors.New("bound to a key that was not proven"))
	}
	return b, nil
}

// Inspect is Bearer for those who ask about a token and do not use it: neither
// its audience nor the keys that it is bound to are checked.
func (s *Service) Inspect(ctx context.Context, space *live.Space, raw string) (*Bearer, error) {
	if raw == "" || len(raw) > token.MaxLength {
		return nil, errBearer(nil)
	}
	key := sha256.Sum256([]byte(raw))
	b, ok := s.bearers.GetIfPresent(key)
	if !ok || b.workspace != space.Tenant+"/"+space.ID || b.epoch != space.Epoch {
		var err error
		if b, err = s.verify(ctx, space, raw); err != nil {
			return nil, err
		}
		s.bearers.Set(key, b)
	}
	switch {
	case !s.Now().Before(b.Expires):
		return nil, errBearer(errors.New("expired"))
	case s.revoked(b):
		return nil, errBearer(errors.New("revoked"))
	}
	if err := s.verifies(ctx, space, b); err != nil {
		return nil, err
	}
	return b, nil
}

// verifies refuses a token whose key was revoked. It looks once for every time that
// keys changed.
func (s *Service) verifies(ctx context.Context, space *live.Space, b *Bearer) error {
	generation := s.Tokens.Generation()
	if b.key == "" || b.keyed.Load() == generation {
		return nil
	}
	ok, err := s.Tokens.Holds(ctx, space.Token(), token.Access, b.key)
	if err != nil {
		return err
	}
	if !ok {
		return errBearer(errors.New("its key was revoked"))
	}
	b.keyed.Store(generation)
	return nil
}

// revoked looks at the marks, once for every time that they changed.
func (s *Service) revoked(b *Bearer) bool {
	generation := s.Marks.Generation() + 1 // zero means never checked
	if b.checked.Load() == generation {
		return false
	}
	if s.Marks.Dead(b.ref) || slices.ContainsFunc(b.before, s.Marks.Dead) {
		return true
	}
	b.checked.Store(generation)
	return false
}

func errBearer(cause error) error {
	e := fault.New(fault.Unauthenticated, "The access token is missing, expired, revoked or not meant for this service.", cause)
	e.Code = "invalid_token"
	return e
}

func (s *Service) verify(ctx context.Context, space *live.Space, raw string) (*Bearer, error) {
	generation := s.Tokens.Generation() // before: a key that is revoked meanwhile is looked at again
	c, key, err := s.claimsOf(ctx, space, raw)
	if errors.Is(err, token.ErrInvalid) || errors.Is(err, grant.ErrInvalid) {
		return nil, errBearer(err)
	}
	if err != nil {
		return nil, err
	}
	who := person{Pool: c.String("pool_id"), User: c.String("idp_sub"), Subject: c.String("sub")}
	if sealed := c.String(claimPerson); c.String("st") == client.Pairwise {
		opened, err := s.Ring.Open(sealed, vault.AAD(space.Tenant, "access_tokens", space.ID, claimPerson))
		if err == nil {
			err = json.Unmarshal(opened, &who)
		}
		if err != nil {
			return nil, fmt.Errorf("access token: whose it is: %w", err)
		}
		delete(c, claimPerson)
	}
	b := &Bearer{
		Claims: c, Client: c.String("client_id"), Subject: c.String("sub"), Pool: who.Pool, User: who.User,
		Session: c.String("sid"), Scopes: strings.Fields(c.String("scope")), Expires: c.Time("exp"), Bound: boundTo(c),
		epoch: space.Epoch, workspace: space.Tenant + "/" + space.ID, key: key,
	}
	b.keyed.Store(generation)
	b.ref = grant.Ref{
		Tenant: space.Tenant, Workspace: space.ID, Pool: b.Pool, User: b.User, Client: b.Client,
		Subject: who.Subject, IDP: c.String("idp"),
		Session: b.Session, Grant: c.String("grant_id"), Token: c.String("jti"), Issued: c.Issued(),
	}
	if b.Has(ScopeOffline) {
		b.ref.Session = "" // it was granted beyond the session's end
	}
	for _, h := range hops(c) {
		r := b.ref
		r.Client, r.Token, r.Issued = h.Client, h.Token, token.Claims{"jti": h.Token}.Issued()
		b.before = append(b.before, r)
	}
	return b, nil
}

// claimsOf returns what an access token says, and the key that signed it: a JWT
// says it itself, for an opaque one there is a record.
func (s *Service) claimsOf(ctx context.Context, space *live.Space, raw string) (c token.Claims, key string, err error) {
	if strings.Contains(raw, ".") {
		return s.Tokens.VerifyKey(ctx, space.Token(), token.Access, raw)
	}
	v, err := s.Opaque.Look(ctx, space.Tenant, space.ID, space.Epoch, raw)
	if err != nil {
		return nil, "", err
	}
	err = json.Unmarshal(v.Claims, &c)
	return c, "", err
}

// Caller is who calls the API: an access token, and its workspace and the epochs
// of its client and person as they are now.
type Caller struct {
	*Bearer
	Space       *live.Space
	ClientEpoch string
	UserEpoch   string
}

// APICaller verifies an API token: issued by the workspace admin or system of
// the tenant for the API, not revoked, its client active and its person, if
// any, too. It says who calls, never what they may do.
func (s *Service) APICaller(ctx context.Context, tenant, workspace, raw string) (Caller, error) {
	space, err := s.Live.Space(ctx, tenant, workspace)
	if fault.Is(err, fault.NotFound) {
		return Caller{}, errBearer(err)
	}
	if err != nil {
		return Caller{}, err
	}
	b, err := s.Bearer(ctx, space, s.APIAudience(), raw)
	if err != nil {
		return Caller{}, err
	}
	who := Caller{Bearer: b, Space: space}
	c, err := s.Client(ctx, space, b.Client)
	if fault.Is(err, fault.NotFound) || (err == nil && !c.Active()) {
		return Caller{}, errBearer(fmt.Errorf("client %s is gone or inactive", b.Client))
	}
	if err != nil {
		return Caller{}, err
	}
	who.ClientEpoch = c.Epoch
	if b.User == "" {
		return who, nil
	}
	epoch, ok, err := s.activeUser(ctx, tenant, b.Pool, b.User, "")
	if err == nil && !ok {
		err = errBearer(fmt.Errorf("user %s is gone or inactive", b.User))
	}
	who.UserEpoch = epoch
	return who, err
}

// BearerToken returns the token of an Authorization header, or "" (RFC 6750,
// section 2.1; the scheme's case does not matter).
func BearerToken(header string) string {
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(rest)
}

func isUnauthenticated(err error) bool { return fault.Is(err, fault.Unauthenticated) }
