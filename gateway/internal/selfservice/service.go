package selfservice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Messages sends what carries a code; notify.Notifier is one. Pretend costs the
// same and sends nothing. Admit counts a message before its code is made.
type Messages interface {
	Send(ctx context.Context, m notify.Message) error
	Pretend(ctx context.Context, m notify.Message) error
	Admit(ctx context.Context, m notify.Message) error
}

// Config joins the parts that the service needs. Brand, Target and Log may be
// nil.
type Config struct {
	Base      string // the gateway's base URL without a trailing slash
	Ring      *vault.Ring
	Pools     *pool.Pools
	Users     *pool.Users
	Codes     *code.Keeper
	Messages  Messages
	Passwords *credential.Verifier
	Audit     pool.Auditor
	// Brand is how messages of a workspace look; workspace may be empty.
	Brand func(ctx context.Context, tenant, workspace string) notify.Brand
	// Target tells whether a person may be sent to an address of the workspace's
	// apps after an activation. Nil: nowhere.
	Target func(ctx context.Context, tenant, workspace, address string) bool
	Log    *slog.Logger
	Now    func() time.Time
}

// Service does what people ask for themselves. Safe for concurrent use.
type Service struct {
	Config
	spent *store.Table[spent]
}

// Open declares the table of spent challenges and returns the service.
func Open(ctx context.Context, s *store.Store, c Config) (*Service, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Brand == nil {
		c.Brand = func(context.Context, string, string) notify.Brand { return notify.Brand{} }
	}
	if c.Target == nil {
		c.Target = func(context.Context, string, string, string) bool { return false }
	}
	table, err := store.Declare(ctx, s, store.Spec[spent]{
		Name: "spent_challenges", Expires: func(x *spent) time.Time { return x.Until },
	})
	if err != nil {
		return nil, fmt.Errorf("selfservice: %w", err)
	}
	return &Service{Config: c, spent: table}, nil
}

// subject is whose codes these are; of nobody when u has no id.
func subject(p *pool.Pool, u *pool.User) code.Subject {
	return code.Subject{Tenant: p.TenantID, Pool: p.ID, PoolEpoch: p.Epoch, User: u.ID, UserEpoch: u.Epoch}
}

// Setting is the length and life of a pool's codes of a type.
func Setting(p *pool.Pool, t code.Type) pool.OTPConfig {
	s := p.OTPSettings
	c := map[code.Type]*pool.OTPConfig{
		code.Activation: s.Activation, code.Authentication: s.Authentication, code.Challenge: s.Challenge,
		code.EnrollWebAuthn: s.EnrollWebAuthn, code.ResetPassword: s.ResetPassword, code.ResetTOTP: s.ResetTOTP,
		code.VerifyAddress: s.VerifyAddress,
	}[t]
	return *c
}

// hold makes a refusal take as long as any other.
func (s *Service) hold(ctx context.Context, p *pool.Pool, start time.Time, err error) error {
	return errors.Join(err, s.Passwords.Hold(ctx, p.TenantID, start))
}

// event records what happened; u may be nobody.
func (s *Service) event(ctx context.Context, p *pool.Pool, u *pool.User, subject, action string, about map[string]any) error {
	if s.Audit == nil {
		return nil
	}
	raw, err := json.Marshal(map[string]any{subject + "_" + action: about})
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	e := audit.Event{
		Tenant: p.TenantID, Workspace: p.WorkspaceID, Subject: subject, Action: action, Time: s.Now(), Payload: raw,
		Metadata: map[string]any{"affected_user_pool_id": p.ID, "affected_user_id": u.ID},
	}
	if e.Workspace == "" {
		e.Workspace = tenant.Admin
	}
	return s.Audit.Record(ctx, e)
}

// found turns a user that is not there into nobody.
func found(u pool.User, err error) (pool.User, error) {
	if fault.Is(err, fault.NotFound) {
		return pool.User{}, nil
	}
	return u, err
}
