package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Config configures a Keeper.
type Config struct {
	Idle     time.Duration // a session untouched for so long ends; 0 means 8 h
	Absolute time.Duration // no session lives longer; 0 means 24 h
	StepUp   time.Duration // how young a sign-in must be for what adds or removes a way to sign in; 0 means 5 min
	Cached   int           // sessions kept in memory; 0 means 100 000
	Recheck  time.Duration // a cached session is read again after it; 0 means 30 s

	// Append announces ends on every gateway before records are deleted.
	Append func(context.Context, ...changes.Entry) error
	// Dead tells whether a session was ended, whatever its record says.
	Dead func(*Session) bool
	// Generation changes whenever an answer of Dead may have changed.
	Generation func() uint64
	Log        *slog.Logger
	Now        func() time.Time
}

// Keeper keeps sessions. Safe for concurrent use.
type Keeper struct {
	Config
	table    *store.Table[Session]
	cache    *otter.Cache[cacheKey, *entry]
	watchers watchers
}

type cacheKey struct{ tenant, id string }

type entry struct {
	s       *Session
	rev     int64
	read    atomic.Int64 // unix nanoseconds of the last read
	checked atomic.Uint64
	busy    atomic.Bool // one caller re-reads, the others go on
}

// Open declares the table.
func Open(ctx context.Context, s *store.Store, c Config) (*Keeper, error) {
	c.Idle = orElse(c.Idle, 8*time.Hour)
	c.Absolute = orElse(c.Absolute, 24*time.Hour)
	c.StepUp = orElse(c.StepUp, 5*time.Minute)
	c.Recheck = orElse(c.Recheck, 30*time.Second)
	if c.Cached == 0 {
		c.Cached = 100_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	table, err := store.Declare(ctx, s, store.Spec[Session]{
		Name:    "sessions",
		Expires: func(s *Session) time.Time { return s.Ends() },
		Indexes: map[string]func(*Session) (store.Key, bool){
			"user": func(s *Session) (store.Key, bool) {
				return store.Key{Equal: store.ID(s.Pool, s.User), Order: store.OrderTime(s.Created)}, s.Parent == ""
			},
			"subject": func(s *Session) (store.Key, bool) {
				return store.Key{Equal: store.ID(s.Workspace, s.Subject), Order: store.OrderTime(s.Created)}, s.Parent == ""
			},
			"idp": func(s *Session) (store.Key, bool) {
				return store.Key{Equal: store.ID(s.Workspace, s.IDP), Order: store.OrderTime(s.Created)}, s.Parent == "" && s.IDP != ""
			},
			"parent": func(s *Session) (store.Key, bool) {
				return store.Key{Equal: s.Parent, Order: store.OrderTime(s.Created)}, s.Parent != ""
			},
		},
	})
	if err != nil {
		return nil, err
	}
	cache, err := otter.New(&otter.Options[cacheKey, *entry]{MaximumSize: c.Cached})
	if err != nil {
		return nil, fmt.Errorf("session cache: %w", err)
	}
	return &Keeper{Config: c, table: table, cache: cache}, nil
}

func orElse(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

var errNone = fault.New(fault.Unauthenticated, "You are not signed in.", nil)

// Start stores a new session on the base host and returns the secret for its
// cookie. The lifetimes of s that are zero become the keeper's.
func (k *Keeper) Start(ctx context.Context, tenant string, s Session) (secret string, _ *Session, err error) {
	secret, draft := k.Draft(tenant, s)
	return secret, draft, k.Keep(ctx, draft)
}

// Draft is the first half of Start: a session that nobody finds before Keep has
// stored it. What hangs on it can be written at the same time.
func (k *Keeper) Draft(tenant string, s Session) (secret string, _ *Session) {
	now := k.Now()
	s.Created, s.Touched = now, now
	s.Idle = orElse(s.Idle, k.Idle)
	if s.Expires.IsZero() {
		s.Expires = now.Add(k.Absolute)
	}
	return draft(tenant, s)
}

func draft(tenant string, s Session) (secret string, _ *Session) {
	secret = vault.NewSecret()
	s.ID, s.Tenant, s.memo = vault.Hash(secret), tenant, &memo{}
	return secret, &s
}

// Keep stores a draft. One that a revocation ended meanwhile gives
// fault.Unauthenticated.
func (k *Keeper) Keep(ctx context.Context, s *Session) error {
	row, err := k.table.Create(ctx, s.Tenant, s.ID, *s)
	if err != nil {
		return err
	}
	if k.Dead(k.remember(row).s) {
		return errNone
	}
	return nil
}

// Child stores a session for one app host that ends with its parent, or
// returns fault.Unauthenticated when the parent has ended. It is as old as its
// parent: a revocation that came while it was made ends it as well.
func (k *Keeper) Child(ctx context.Context, tenant, parent, host string) (secret string, _ *Session, err error) {
	p, err := k.ByID(ctx, tenant, parent)
	if err != nil {
		return "", nil, err
	}
	s := *p
	s.Parent, s.Host, s.Touched = p.ID, host, k.Now()
	secret, child := draft(tenant, s)
	return secret, child, k.Keep(ctx, child)
}

// Find returns the live session of a cookie's secret, or fault.Unauthenticated.
// A cached session is served without the store; it is read again every Recheck,
// and kept when the store does not answer.
func (k *Keeper) Find(ctx context.Context, tenant, secret string) (*Session, error) {
	if len(secret) != 43 { // 256 bits in base64url
		return nil, errNone
	}
	return k.ByID(ctx, tenant, vault.Hash(secret))
}

// ByID returns a live session by its id, or fault.Unauthenticated.
func (k *Keeper) ByID(ctx context.Context, tenant, id string) (*Session, error) {
	e, err := k.entry(ctx, cacheKey{tenant, id})
	if err != nil {
		return nil, err
	}
	return k.touch(ctx, e, k.Now()), nil
}

// entry returns a live session from the cache, read again when it is due.
func (k *Keeper) entry(ctx context.Context, key cacheKey) (*entry, error) {
	e, ok := k.cache.GetIfPresent(key)
	now := k.Now()
	if !ok || k.old(e, now) {
		fresh, err := k.read(ctx, key)
		switch {
		case err == nil:
			e = fresh
		case fault.Is(err, fault.Unauthenticated):
			k.cache.Invalidate(key)
			return nil, err
		case !ok:
			return nil, err
		default:
			e.busy.Store(false)
			k.Log.Warn("session not read again, the cached one goes on", "error", err)
		}
	}
	if !k.alive(e, now) {
		return nil, errNone
	}
	return e, nil
}

// Peek is ByID for those who do not use the session: its idle time goes on.
func (k *Keeper) Peek(ctx context.Context, tenant, id string) (*Session, error) {
	e, err := k.entry(ctx, cacheKey{tenant, id})
	if err != nil {
		return nil, err
	}
	return e.s, nil
}

// old tells whether this caller is the one to read the entry again.
func (k *Keeper) old(e *entry, now time.Time) bool {
	return now.UnixNano()-e.read.Load() > int64(k.Recheck) && e.busy.CompareAndSwap(false, true)
}

func (k *Keeper) alive(e *entry, now time.Time) bool {
	if !now.Before(e.s.Ends()) {
		return false
	}
	gen := k.Generation() + 1 // zero means never checked
	if e.checked.Load() == gen {
		return true
	}
	if k.Dead(e.s) {
		k.cache.Invalidate(cacheKey{e.s.Tenant, e.s.ID})
		return false
	}
	e.checked.Store(gen)
	return true
}

// storeWait bounds one read or write: the proxy's requests have no deadline of
// their own.
const storeWait = 5 * time.Second

func (k *Keeper) read(ctx context.Context, key cacheKey) (*entry, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	row, err := k.table.Get(ctx, key.tenant, key.id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNone
	}
	if err != nil {
		return nil, err
	}
	return k.remember(row), nil
}

func (k *Keeper) remember(row store.Row[Session]) *entry {
	s := row.Value
	s.ID, s.Tenant, s.memo = row.ID, row.Tenant, &memo{}
	e := &entry{s: &s, rev: row.Rev}
	e.read.Store(k.Now().UnixNano())
	k.cache.Set(cacheKey{s.Tenant, s.ID}, e)
	return e
}

// touch records use, at most once per tenth of the idle time. A failure is
// harmless: the session ends a little earlier.
func (k *Keeper) touch(ctx context.Context, e *entry, now time.Time) *Session {
	if now.Sub(e.s.Touched) < e.s.Idle/10 {
		return e.s
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	s := *e.s
	s.Touched = now
	row, err := k.table.Swap(ctx, s.Tenant, s.ID, e.rev, s)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			k.cache.Invalidate(cacheKey{s.Tenant, s.ID})
		} else if !errors.Is(err, store.ErrStale) {
			k.Log.Warn("session use not recorded", "error", err)
		}
		return e.s
	}
	if s.Parent != "" { // the parent is in use as long as a child is
		_, _ = k.ByID(ctx, s.Tenant, s.Parent)
	}
	return k.remember(row).s
}

// End ends a session with all its children, on every gateway.
func (k *Keeper) End(ctx context.Context, tenant, id string) error {
	err := k.Append(ctx, changes.Entry{Kind: changes.KindRevokeSession, Tenant: tenant, ID: id})
	if err != nil {
		return err
	}
	return k.remove(ctx, tenant, id)
}

// remove deletes a session's children and then the session, so that a failure
// in between can be repeated.
func (k *Keeper) remove(ctx context.Context, tenant, id string) error {
	var ids []string
	err := k.table.All(ctx, tenant, store.Query{Index: "parent", Equal: id}, func(r store.Row[Session]) bool {
		ids = append(ids, r.ID)
		return true
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Concat(ids, []string{id}) {
		k.cache.Invalidate(cacheKey{tenant, id})
		if err := k.table.Delete(ctx, tenant, id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Apply takes entries of the change log: watchers of sessions that ended are
// told. nil means that entries may have been missed.
func (k *Keeper) Apply(entries []changes.Entry) {
	if entries == nil {
		k.cache.InvalidateAll()
		k.watchers.drop()
		return
	}
	if which, ok := touched(entries); ok {
		k.watchers.sweep(which)
	}
}

// Watch calls ended once when the session ends by revocation, in a goroutine of
// its own. The returned function stops watching and must be called.
func (k *Keeper) Watch(s *Session, ended func()) (stop func()) {
	return k.watch(watcher{tenant: s.Tenant, gone: func() bool { return k.Dead(s) }, ended: ended})
}

// WatchToken is Watch for a token of a tenant: revoked tells whether the token, or
// anything that it hangs on, was revoked.
func (k *Keeper) WatchToken(tenant string, revoked func() bool, ended func()) (stop func()) {
	return k.watch(watcher{tenant: tenant, token: true, gone: revoked, ended: ended})
}

func (k *Keeper) watch(x watcher) (stop func()) {
	told := sync.OnceFunc(x.ended)
	x.ended = told
	stop = k.watchers.add(x)
	if x.gone() { // it ended between the caller's look and now
		go told()
	}
	return stop
}
