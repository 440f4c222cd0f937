package grant

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Grant is one family of refresh tokens.
type Grant struct {
	Terms
	Secret   string    `json:"secret"`   // sealed; keys the MAC of the family's tokens
	N        int64     `json:"n"`        // number of the newest token
	Rotated  time.Time `json:"rotated"`  // when the newest token was made from the one before
	Previous time.Time `json:"previous"` // when the one before was made
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
}

// Config configures a Keeper.
type Config struct {
	Ring  *vault.Ring
	Marks *Marks
	Grace time.Duration // how long the token before the newest gives the newest again; 0 means 30 s
	Most  int           // live grants of one user and client; 0 means 100
	Now   func() time.Time
}

// Keeper keeps grants. Safe for concurrent use.
type Keeper struct {
	Config
	table *store.Table[Grant]
}

// Open declares the table.
func Open(ctx context.Context, s *store.Store, c Config) (*Keeper, error) {
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	if c.Most == 0 {
		c.Most = 100
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	table, err := store.Declare(ctx, s, store.Spec[Grant]{
		Name:    "grants",
		Expires: func(g *Grant) time.Time { return g.Expires },
		Indexes: map[string]func(*Grant) (store.Key, bool){
			"user": func(g *Grant) (store.Key, bool) {
				return store.Key{Equal: store.ID(g.Pool, g.User), Order: store.OrderTime(g.Created)}, g.User != ""
			},
			"client": func(g *Grant) (store.Key, bool) {
				return store.Key{Equal: g.Client, Order: store.OrderTime(g.Created)}, true
			},
			"subject": func(g *Grant) (store.Key, bool) {
				return store.Key{Equal: store.ID(g.Workspace, g.Subject), Order: store.OrderTime(g.Created)}, g.Subject != ""
			},
			"held": func(g *Grant) (store.Key, bool) {
				return store.Key{Equal: held(g.Terms), Order: store.OrderTime(g.Created)}, g.User != ""
			},
			"idp": func(g *Grant) (store.Key, bool) {
				return store.Key{Equal: store.ID(g.Workspace, g.IDP), Order: store.OrderTime(g.Created)}, g.IDP != ""
			},
		},
	})
	if err != nil {
		return nil, err
	}
	return &Keeper{Config: c, table: table}, nil
}

// Start begins the family id with these terms and returns its first refresh
// token. A grant that was ended before it began (its code was replayed at the
// same moment) gives ErrInvalid and leaves nothing. Every sign-in has a grant of its
// own, up to a number for one user and client; then the oldest ends.
func (k *Keeper) Start(ctx context.Context, tenant, id string, t Terms, ttl time.Duration) (string, error) {
	secret := vault.NewSecret()
	sealed, err := k.Ring.Seal([]byte(secret), vault.AAD(tenant, "grants", id, "secret"))
	if err != nil {
		return "", err
	}
	now := k.Now()
	g := Grant{Terms: t, Secret: sealed, N: 1, Rotated: now, Previous: now, Created: now, Expires: now.Add(ttl)}
	if _, err := k.table.Create(ctx, tenant, id, g); err != nil {
		return "", err
	}
	// Whoever ends a grant marks it and then deletes it. Creating first and
	// looking for the mark afterwards closes the gap between the two.
	if k.dead(tenant, id, &g) {
		return "", errors.Join(fmt.Errorf("%w: ended while it began", ErrInvalid), k.remove(ctx, tenant, id))
	}
	return refreshToken(id, 1, secret), k.crowd(ctx, tenant, t)
}

// held names the grants of a user for a client.
func held(t Terms) string { return store.ID(t.Pool, t.User, t.Client) }

// crowd ends the oldest grants of a user and client that are too many. Two that
// begin at once may both see the oldest: it ends once.
func (k *Keeper) crowd(ctx context.Context, tenant string, t Terms) error {
	if t.User == "" {
		return nil
	}
	q := store.Query{Index: "held", Equal: held(t)}
	n, err := k.table.Count(ctx, tenant, q)
	if err != nil || n <= k.Most {
		return err
	}
	oldest, err := k.table.Find(ctx, tenant, q, store.Page{Limit: n - k.Most})
	for _, row := range oldest {
		err = errors.Join(err, k.End(ctx, tenant, row.ID))
	}
	return err
}

// Refresh spends a refresh token of client and returns its successor with the
// terms of the grant (RFC 6749, section 6; rotation by RFC 9700, section
// 4.14.2). ErrInvalid when it does not hold; a token older than the grace
// allows ends the whole family, a wrong MAC ends nothing. approve, if not nil,
// is asked before the token is spent, perhaps more than once: its error leaves the
// family as it was, and a DPoPKey that it sets binds the family.
func (k *Keeper) Refresh(ctx context.Context, tenant, client, token string, approve func(*Renewal) error) (string, Renewal, error) {
	return k.refresh(ctx, tenant, client, token, true, approve)
}

// Reuse is Refresh without rotation: the newest token of the family stays good
// until the family expires.
func (k *Keeper) Reuse(ctx context.Context, tenant, client, token string, approve func(*Renewal) error) (string, Renewal, error) {
	return k.refresh(ctx, tenant, client, token, false, approve)
}

func (k *Keeper) refresh(
	ctx context.Context, tenant, client, token string, rotates bool, approve func(*Renewal) error,
) (string, Renewal, error) {
	id, n, mac, ok := parse(token)
	if !ok {
		return "", Renewal{}, fmt.Errorf("%w: not a refresh token", ErrInvalid)
	}
	if approve == nil {
		approve = func(*Renewal) error { return nil }
	}
	for {
		row, secret, err := k.find(ctx, tenant, id, client, n, mac)
		if err != nil {
			return "", Renewal{}, err
		}
		g := row.Value
		now := k.Now()
		renewal := Renewal{Grant: id, Terms: g.Terms, Expires: g.Expires}
		v := verdict(g, n, now, k.Grace)
		if err := k.judge(ctx, tenant, id, v); err != nil {
			return "", Renewal{}, err
		}
		if err := approve(&renewal); err != nil {
			return "", Renewal{}, err
		}
		binds := g.DPoPKey != renewal.Terms.DPoPKey
		g.DPoPKey = renewal.Terms.DPoPKey
		switch {
		case v == rotate && rotates:
			g.N, g.Previous, g.Rotated = n+1, g.Rotated, now
		case !binds && v == rotate:
			return token, renewal, nil
		case !binds:
			return refreshToken(id, g.N, secret), renewal, nil
		}
		_, err = k.table.Swap(ctx, tenant, id, row.Rev, g)
		if errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound) {
			continue // somebody else refreshed or ended it; look again
		}
		if err != nil {
			return "", Renewal{}, err
		}
		return refreshToken(id, g.N, secret), renewal, nil
	}
}

// judge refuses a token whose verdict is no renewal, and ends the family of one that
// was used too long ago.
func (k *Keeper) judge(ctx context.Context, tenant, id string, v outcome) error {
	switch v {
	case refuse:
		return fmt.Errorf("%w: its successor was used", ErrInvalid)
	case end:
		return errors.Join(fmt.Errorf("%w: used before", ErrInvalid), ErrReused, k.End(ctx, tenant, id))
	}
	return nil
}

// find returns the live family of a client that a token number n with this MAC
// belongs to, and its secret; ErrInvalid says what is wrong.
func (k *Keeper) find(ctx context.Context, tenant, id, client string, n int64, mac []byte) (row store.Row[Grant], secret string, err error) {
	row, err = k.table.Get(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return row, "", fmt.Errorf("%w: no such grant", ErrInvalid)
	}
	if err != nil {
		return row, "", err
	}
	opened, err := k.Ring.Open(row.Value.Secret, vault.AAD(tenant, "grants", id, "secret"))
	if err != nil {
		return row, "", fmt.Errorf("grant %s: %w", id, err)
	}
	secret = string(opened)
	switch {
	case !hmac.Equal(mac, tokenMAC(secret, id, n)):
		err = fmt.Errorf("%w: wrong MAC", ErrInvalid)
	case row.Value.Client != client:
		err = fmt.Errorf("%w: the token belongs to another client", ErrInvalid)
	case k.dead(tenant, id, &row.Value):
		err = fmt.Errorf("%w: ended", ErrInvalid)
	}
	return row, secret, err
}

// ErrReused accompanies ErrInvalid when a replayed token ended its family, for
// the audit event.
var ErrReused = errors.New("a refresh token was used twice")

// Renewal is what a spent refresh token gives.
type Renewal struct {
	Grant   string
	Terms   Terms
	Expires time.Time
}

type outcome int

const (
	rotate outcome = iota
	again          // the newest token once more, computed
	refuse
	end
)

// verdict says what presenting token n of the family means.
func verdict(g Grant, n int64, now time.Time, grace time.Duration) outcome {
	switch {
	case n == g.N:
		return rotate
	case n == g.N-1 && now.Sub(g.Rotated) <= grace:
		return again
	case n == g.N-2 && now.Sub(g.Previous) <= grace:
		return refuse
	default:
		return end
	}
}

// Find returns the terms of a live grant, or ErrInvalid.
func (k *Keeper) Find(ctx context.Context, tenant, id string) (Terms, error) {
	row, err := k.table.Get(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return Terms{}, ErrInvalid
	}
	if err != nil {
		return Terms{}, err
	}
	if k.dead(tenant, id, &row.Value) {
		return Terms{}, ErrInvalid
	}
	return row.Value.Terms, nil
}

// dead tells whether a family was ended. It outlives the session that it began
// in: that is what it is for (OpenID Connect Core 1.0, section 11).
func (k *Keeper) dead(tenant, id string, g *Grant) bool {
	r := g.Ref(tenant, id, g.Created)
	r.Session = ""
	return k.Marks.Dead(r)
}

// End ends a grant on every gateway: its refresh tokens and the access tokens
// that came from it.
func (k *Keeper) End(ctx context.Context, tenant, id string) error {
	if err := k.Marks.Append(ctx, revokeGrant(tenant, id)); err != nil {
		return err
	}
	return k.remove(ctx, tenant, id)
}

// Clear removes the stored grants of a user, but for those to keep, after their
// revocation was announced.
func (k *Keeper) Clear(ctx context.Context, tenant, pool, user string, keep ...string) error {
	return k.clear(ctx, tenant, store.Query{Index: "user", Equal: store.ID(pool, user)}, keep...)
}

// ClearSubject is Clear for whoever a subject of a workspace stands for.
func (k *Keeper) ClearSubject(ctx context.Context, tenant, workspace, subject string, keep ...string) error {
	return k.clear(ctx, tenant, store.Query{Index: "subject", Equal: store.ID(workspace, subject)}, keep...)
}

// ClearIDP is Clear for everybody who came to a workspace by an IDP.
func (k *Keeper) ClearIDP(ctx context.Context, tenant, workspace, idp string) error {
	return k.clear(ctx, tenant, store.Query{Index: "idp", Equal: store.ID(workspace, idp)})
}

func (k *Keeper) clear(ctx context.Context, tenant string, q store.Query, keep ...string) error {
	var ids []string
	err := k.table.All(ctx, tenant, q, func(r store.Row[Grant]) bool {
		if !slices.Contains(keep, r.ID) {
			ids = append(ids, r.ID)
		}
		return true
	})
	for _, id := range ids {
		err = errors.Join(err, k.remove(ctx, tenant, id))
	}
	return err
}

func (k *Keeper) remove(ctx context.Context, tenant, id string) error {
	if err := k.table.Delete(ctx, tenant, id); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

func refreshToken(id string, n int64, secret string) string {
	return id + "." + strconv.FormatInt(n, 10) + "." + base64.RawURLEncoding.EncodeToString(tokenMAC(secret, id, n))
}

func tokenMAC(secret, id string, n int64) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(h, "refresh %s.%d", id, n)
	return h.Sum(nil)
}

func parse(token string) (id string, n int64, mac []byte, ok bool) {
	if len(token) > 256 {
		return "", 0, nil, false
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[0] == "" {
		return "", 0, nil, false
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != parts[1] {
		return "", 0, nil, false
	}
	mac, err = base64.RawURLEncoding.Strict().DecodeString(parts[2])
	return parts[0], n, mac, err == nil
}
