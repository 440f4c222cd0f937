package signin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Bearer is a verified access token. It must not be changed.
type Bearer struct {
	Claims    token.Claims
	Client    string
	Subject   string
	Pool      string // with User: the person behind it, if any
	User      string
	Session   string
	Scopes    []string
	Expires   time.Time
	ref       grant.Ref
	epoch     string
	workspace string
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
// the token ends; revocation is checked on every call. What does not hold is
// fault.Unauthenticated.
func (s *Service) Bearer(ctx context.Context, space *live.Space, audience, raw string) (*Bearer, error) {
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
	case audience != "" && !slices.Contains(b.Claims.Strings("aud"), audience):
		return nil, errBearer(errors.New("wrong audience"))
	case s.Marks.Dead(b.ref):
		return nil, errBearer(errors.New("revoked"))
	}
	return b, nil
}

func errBearer(cause error) error {
	e := fault.New(fault.Unauthenticated, "The access token is missing, expired, revoked or not meant for this service.", cause)
	e.Code = "invalid_token"
	return e
}

func (s *Service) verify(ctx context.Context, space *live.Space, raw string) (*Bearer, error) {
	c, err := s.Tokens.Verify(ctx, space.Token(), token.Access, "", raw)
	if errors.Is(err, token.ErrInvalid) {
		return nil, errBearer(err)
	}
	if err != nil {
		return nil, err
	}
	b := &Bearer{
		Claims: c, Client: c.String("client_id"), Subject: c.String("sub"), Pool: c.String("pool_id"),
		User: c.String("idp_sub"), Session: c.String("sid"), Scopes: c.Strings("scp"), Expires: c.Time("exp"),
		epoch: space.Epoch, workspace: space.Tenant + "/" + space.ID,
	}
	b.ref = grant.Ref{
		Tenant: space.Tenant, Workspace: space.ID, Pool: b.Pool, User: b.User, Client: b.Client,
		Subject: b.Subject, IDP: c.String("idp"),
		Session: b.Session, Grant: c.String("grant_id"), Issued: c.Issued(),
	}
	if b.Has(ScopeOffline) {
		b.ref.Session = "" // it was granted beyond the session's end
	}
	return b, nil
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
