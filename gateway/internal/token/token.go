package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Kind is a kind of token.
type Kind int

// The kinds.
const (
	Access Kind = iota
	ID
	Assertion
	UserInfo // signed answers of the userinfo endpoint; they have no end and are never accepted here
	Logout   // logout tokens; never accepted here
)

// traits returns the typ header and the use of the keys of a kind.
func (k Kind) traits() (typ, use string) {
	switch k {
	case Access:
		return "at+jwt", UseSig
	case ID, UserInfo:
		return "JWT", UseSig
	case Logout:
		return "logout+jwt", UseSig
	default:
		return "gatepost-assertion+jwt", UseAssertion
	}
}

// types returns the typ headers of the kinds that keys of one use sign.
func types(use string) []string {
	var all []string
	for k := Access; k <= Logout; k++ {
		if typ, of := k.traits(); of == use && !slices.Contains(all, typ) {
			all = append(all, typ)
		}
	}
	return all
}

// Workspace names an issuer.
type Workspace struct {
	Tenant  string
	ID      string
	Epoch   string
	KeyType string // rsa, ps, or anything else for ES256; read when keys are made
}

// Config configures Tokens.
type Config struct {
	Base string // the gateway's base URL without a trailing slash
	Ring *vault.Ring
	// Changed tells all gateways that the keys of a workspace changed; nil: there
	// is no other.
	Changed func(context.Context, changes.Entry) error
	Now     func() time.Time
}

// Tokens signs and verifies. Safe for concurrent use.
type Tokens struct {
	Config
	table   *store.Table[Key]
	heads   *store.Table[head]
	rings   *otter.Cache[ringKey, *ring]
	fresh   sync.Mutex    // between keeping what was read and dropping what is old
	applied uint64        // how often Apply was called; under fresh
	changes atomic.Uint64 // see Generation
}

type ringKey struct{ tenant, workspace string }

// Open declares the tables.
func Open(ctx context.Context, s *store.Store, c Config) (*Tokens, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	table, err := store.Declare(ctx, s, store.Spec[Key]{Name: "keys"})
	if err != nil {
		return nil, err
	}
	heads, err := store.Declare(ctx, s, store.Spec[head]{
		Name: "key_heads",
		Due:  func(h *head) time.Time { return h.Automatic.ScheduledAt },
	})
	if err != nil {
		return nil, err
	}
	rings, err := otter.New(&otter.Options[ringKey, *ring]{MaximumSize: 10_000})
	if err != nil {
		return nil, fmt.Errorf("key cache: %w", err)
	}
	return &Tokens{Config: c, table: table, heads: heads, rings: rings}, nil
}

// Issuer returns the issuer identifier of a workspace (RFC 8414, section 2).
func (t *Tokens) Issuer(tenant, workspace string) string {
	return t.Base + "/" + tenant + "/" + workspace
}

// Sign returns a token of that kind, signed by alg, one of [Algorithms]; "" is
// the workspace's own. It sets iss, iat, jti and, unless ttl is 0, exp (now +
// ttl); the rest is the caller's. A key for an algorithm that the workspace has
// not used yet is made, which takes a while for RSA.
func (t *Tokens) Sign(ctx context.Context, w Workspace, k Kind, alg string, claims Claims, ttl time.Duration) (string, error) {
	typ, use := k.traits()
	key, err := t.signer(ctx, w, use, alg)
	if err != nil {
		return "", err
	}
	now := t.Now()
	claims["iss"] = t.Issuer(w.Tenant, w.ID)
	claims["iat"] = now.Unix()
	if ttl > 0 {
		claims["exp"] = now.Add(ttl).Unix()
	}
	claims["jti"] = NewJTI(now)
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	jws, err := key.by[typ].Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return jws.CompactSerialize()
}

// Algorithm returns the algorithm that the workspace signs with unless told
// otherwise.
func (t *Tokens) Algorithm(ctx context.Context, w Workspace) (string, error) {
	r, err := t.keys(ctx, w)
	if err != nil {
		return "", err
	}
	return r.own[UseSig], nil
}

// MaxLength bounds what is parsed at all, in bytes.
const MaxLength = 16 << 10

// ErrInvalid wraps every reason for which a token is refused.
var ErrInvalid = errors.New("invalid token")

const leeway = 5 * time.Second // between the clocks of gateways

// Verify checks that raw is a token of that kind which the workspace issued for
// audience, and that now lies within its life. An empty audience is not
// checked. Anything else is ErrInvalid with the reason; an unknown key is
// refused without touching the store.
func (t *Tokens) Verify(ctx context.Context, w Workspace, k Kind, audience, raw string) (Claims, error) {
	c, _, err := t.verify(ctx, w, k, audience, raw, true)
	return c, err
}

// VerifyKey is Verify for those who remember the answer: it names the key, about
// which they ask Holds whenever Generation, read before, has changed.
func (t *Tokens) VerifyKey(ctx context.Context, w Workspace, k Kind, raw string) (c Claims, kid string, err error) {
	return t.verify(ctx, w, k, "", raw, true)
}

// Generation changes whenever keys of any workspace may have changed. It takes no
// lock.
func (t *Tokens) Generation() uint64 { return t.changes.Load() }

// Holds tells whether a key of a workspace still verifies tokens of a kind.
func (t *Tokens) Holds(ctx context.Context, w Workspace, k Kind, kid string) (bool, error) {
	r, err := t.keys(ctx, w)
	if err != nil {
		return false, err
	}
	_, use := k.traits()
	_, ok := r.public[use][kid]
	return ok, nil
}

// VerifyExpired is Verify without the end of life: an id_token_hint at sign-out
// may have expired (OpenID Connect RP-Initiated Logout 1.0, section 2).
func (t *Tokens) VerifyExpired(ctx context.Context, w Workspace, k Kind, raw string) (Claims, error) {
	c, _, err := t.verify(ctx, w, k, "", raw, false)
	return c, err
}

func (t *Tokens) verify(ctx context.Context, w Workspace, k Kind, audience, raw string, expires bool) (Claims, string, error) {
	if len(raw) > MaxLength {
		return nil, "", fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxLength)
	}
	payload, kid, err := t.open(ctx, w, k, raw)
	if err != nil {
		return nil, "", err
	}
	var c Claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, "", fmt.Errorf("%w: payload: %w", ErrInvalid, err)
	}
	now := t.Now()
	switch {
	case c.String("iss") != t.Issuer(w.Tenant, w.ID):
		return nil, "", fmt.Errorf("%w: issuer", ErrInvalid)
	case audience != "" && !slices.Contains(c.Strings("aud"), audience):
		return nil, "", fmt.Errorf("%w: audience", ErrInvalid)
	case c.Time("exp").IsZero() || (expires && !now.Before(c.Time("exp"))):
		return nil, "", fmt.Errorf("%w: expired", ErrInvalid)
	case c.Time("iat").After(now.Add(leeway)) || c.Time("nbf").After(now.Add(leeway)):
		return nil, "", fmt.Errorf("%w: not yet valid", ErrInvalid)
	}
	return c, kid, nil
}

// open checks the header and the signature and returns the payload and the key.
func (t *Tokens) open(ctx context.Context, w Workspace, k Kind, raw string) (payload []byte, kid string, err error) {
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256})
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	head := jws.Signatures[0].Protected
	typ, use := k.traits()
	if got, _ := head.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(got, typ) {
		return nil, "", fmt.Errorf("%w: typ is %q, not %q", ErrInvalid, got, typ)
	}
	r, err := t.keys(ctx, w)
	if err != nil {
		return nil, "", err
	}
	key, ok := r.public[use][head.KeyID]
	if !ok || string(key.alg) != head.Algorithm {
		return nil, "", fmt.Errorf("%w: unknown key", ErrInvalid)
	}
	payload, err = jws.Verify(key.key)
	if err != nil {
		return nil, "", fmt.Errorf("%w: signature", ErrInvalid)
	}
	return payload, head.KeyID, nil
}
