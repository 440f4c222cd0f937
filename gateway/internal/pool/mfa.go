package pool

import (
	"context"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// mfaMost is how many secrets of one browser are looked at, and mfaPage how many
// sessions are read at once.
const (
	mfaMost = 10
	mfaPage = 100
)

// MFASession remembers that a browser has passed a second factor of a user, for
// as long as the pool's mfa_session_ttl. It is no sign-in.
type MFASession struct {
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant"`
	Pool      string    `json:"pool"`
	PoolEpoch string    `json:"pool_epoch"`
	User      string    `json:"user"`
	UserEpoch string    `json:"user_epoch"`
	Hash      string    `json:"hash"` // SHA-256 of the browser's secret
	IP        string    `json:"ip,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"`
}

// MFASessions keeps the MFA sessions of users. Rows stand below the pool's epoch
// and the user, so those of a user are found together. Safe for concurrent use.
type MFASessions struct {
	config *Config
	table  *store.Table[MFASession]
	pools  *Pools
}

func openMFA(ctx context.Context, s *store.Store, c *Config, pools *Pools) (*MFASessions, error) {
	t, err := store.Declare(ctx, s, store.Spec[MFASession]{
		Name: "mfa_sessions", Expires: func(m *MFASession) time.Time { return m.Expires },
	})
	return &MFASessions{config: c, table: t, pools: pools}, err
}

// Begin remembers the browser of the context's audit metadata. The secret is for
// that browser alone; it is empty, and nothing is remembered, when the pool's
// mfa_session_ttl is zero.
func (k *MFASessions) Begin(ctx context.Context, u *User) (secret string, _ MFASession, _ error) {
	p, err := k.pools.Get(ctx, u.TenantID, u.PoolID)
	if err != nil || p.MFASessionTTL <= 0 {
		return "", MFASession{}, err
	}
	now, from := k.config.Now().UTC(), audit.From(ctx)
	random := vault.NewSecret()
	m := MFASession{
		ID: vault.NewID(), Tenant: u.TenantID, Pool: u.PoolID, PoolEpoch: u.PoolEpoch, User: u.ID, UserEpoch: u.Epoch,
		Hash: vault.Hash(random), IP: from.IP, UserAgent: from.UserAgent, Issued: now, Expires: now.Add(time.Duration(p.MFASessionTTL)),
	}
	if _, err := k.table.Create(ctx, m.Tenant, m.row(), m); err != nil {
		return "", MFASession{}, err
	}
	return m.ID + "." + random, m, k.event(ctx, &p, u.ID, "MFA session created")
}

func (m *MFASession) row() string { return store.ID(m.PoolEpoch, m.User, m.ID) }

// Check returns the session that one of a browser's secrets stands for, if it
// has one of this life of the user. Only the first ten secrets are looked at.
func (k *MFASessions) Check(ctx context.Context, tenant, pool, user, userEpoch string, secrets []string) (MFASession, bool, error) {
	if len(secrets) == 0 {
		return MFASession{}, false, nil
	}
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return MFASession{}, false, err
	}
	for _, secret := range secrets[:min(len(secrets), mfaMost)] {
		id, random, ok := strings.Cut(secret, ".")
		if !ok {
			continue
		}
		at := MFASession{PoolEpoch: p.Epoch, User: user, ID: id}
		row, err := k.table.Get(ctx, tenant, at.row())
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return MFASession{}, false, err
		}
		m := row.Value
		if m.UserEpoch == userEpoch && subtle.ConstantTimeCompare([]byte(m.Hash), []byte(vault.Hash(random))) == 1 {
			return m, true, nil
		}
	}
	return MFASession{}, false, nil
}

// List returns the user's sessions.
func (k *MFASessions) List(ctx context.Context, u *User) ([]MFASession, error) {
	var list []MFASession
	err := k.each(ctx, u, func(m MFASession) error {
		if m.UserEpoch == u.Epoch {
			list = append(list, m)
		}
		return nil
	})
	return list, err
}

// End ends one session of the user, or returns NotFound.
func (k *MFASessions) End(ctx context.Context, u *User, id string) error {
	p, err := k.pools.Get(ctx, u.TenantID, u.PoolID)
	if err != nil {
		return err
	}
	at := MFASession{PoolEpoch: u.PoolEpoch, User: u.ID, ID: id}
	if err := k.table.Delete(ctx, u.TenantID, at.row()); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.NotFound, "There is no such MFA session.", err)
		}
		return err
	}
	return k.event(ctx, &p, u.ID, "MFA session deleted")
}

// EndAll ends all sessions of the user.
func (k *MFASessions) EndAll(ctx context.Context, u *User) error {
	return k.each(ctx, u, func(m MFASession) error { return ignoreGone(k.table.Delete(ctx, m.Tenant, m.row())) })
}

func (k *MFASessions) each(ctx context.Context, u *User, do func(MFASession) error) error {
	page := store.Page{Limit: mfaPage}
	for {
		rows, err := k.table.Range(ctx, u.TenantID, store.Prefix(u.PoolEpoch, u.ID), page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := do(row.Value); err != nil {
				return err
			}
		}
		if len(rows) < page.Limit {
			return nil
		}
		page.After = rows[len(rows)-1].ID
	}
}

func (k *MFASessions) event(ctx context.Context, p *Pool, user, details string) error {
	return k.config.record(ctx, p.TenantID, p, user, audit.SubjectUser, audit.ActionUpdated, map[string]any{
		"user_id": user, "update_details": details,
	})
}

// UserMFASession is an MFA session on the wire.
type UserMFASession struct {
	ID        string    `json:"id"`
	IPAddress string    `json:"ip_address"`
	IssueTime time.Time `json:"issue_time"`
	UserAgent string    `json:"user_agent"`
}

// View is the session as its user sees it.
func (m *MFASession) View() UserMFASession {
	return UserMFASession{ID: m.ID, IPAddress: m.IP, IssueTime: m.Issued, UserAgent: m.UserAgent}
}
