package signin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// proof is a first factor that held.
type proof struct {
	amr        string
	identifier string       // as typed; empty when nothing was
	at         time.Time    // when the check began: a revocation since then counts
	changeDue  bool         // the password must be changed
	beside     func() error // to be done beside the writes of the sign-in; may be nil
}

func offers(mechanisms []string, m string) bool { return slices.Contains(mechanisms, m) }

// prove puts a first factor into a login, with what is still due.
func (s *Service) prove(ctx context.Context, space *live.Space, l login.Login, owner *pool.Pool, u *pool.User, p proof, b Browser) (login.Login, error) {
	l.Pool, l.User, l.UserEpoch = owner.ID, u.ID, u.Epoch
	l.Identifier, l.AMR, l.AuthTime, l.ChangeDue = p.identifier, []string{p.amr}, p.at, p.changeDue
	if l.Identifier == "" && len(u.Identifiers) > 0 {
		l.Identifier = u.Identifiers[0].Value
	}
	if p.amr == amrPasskey || len(owner.SecondFactorAuthenticationMechanisms) == 0 {
		return l, nil // a passkey is something held, and something known or been
	}
	remembered, err := s.remembered(ctx, space, owner, u, b)
	if err != nil || (remembered && !demandOf(space, l.Request).two()) { // what was shown long ago is not shown now
		return l, err
	}
	l.Second = login.Due
	if len(meansAfter(owner, u, p.amr)) == 0 {
		if !offers(owner.SecondFactorAuthenticationMechanisms, pool.MechanismTOTP) {
			return l, fault.New(fault.Denied, "A second factor is required here and your account has none. Please ask whoever runs this service.", nil)
		}
		l.Second = login.Enrol
	}
	return l, nil
}

// proven goes on with a login whose first factor held.
func (s *Service) proven(ctx context.Context, space *live.Space, l login.Login, owner *pool.Pool, u *pool.User, p proof, b Browser) (Outcome, error) {
	next, err := s.prove(ctx, space, l, owner, u, p, b)
	if err != nil {
		return Outcome{}, err
	}
	var beside []func() error
	if p.beside != nil {
		beside = append(beside, p.beside)
	}
	out, err := s.proceed(ctx, space, next, b, beside...)
	return out, twice(err)
}

// twice is the error of a login whose first factor was proven: of several proofs
// of one login the first goes on.
func twice(err error) error {
	if errors.Is(err, store.ErrExists) {
		return login.ErrGone
	}
	return err
}

// firstOf is the method of a login's first factor.
func firstOf(l login.Login) string {
	if len(l.AMR) == 0 {
		return ""
	}
	return l.AMR[0]
}

// failed records a sign-in that did not succeed and returns what the page says.
// Which of the reasons it was stays in the log.
func (s *Service) failed(ctx context.Context, space *live.Space, poolID, by string, cause error) error {
	if !fault.Is(cause, fault.Unauthenticated) {
		return cause
	}
	err := s.record(ctx, space, audit.SubjectLogin, audit.ActionFailed, map[string]any{"reason": by, "identity_pool_id": poolID})
	if err != nil {
		return err
	}
	return cause
}

// remembered tells whether this browser passed a second factor of the user
// before, and the pool still remembers it.
func (s *Service) remembered(ctx context.Context, space *live.Space, owner *pool.Pool, u *pool.User, b Browser) (bool, error) {
	if owner.MFASessionTTL <= 0 {
		return false, nil
	}
	_, ok, err := s.MFASessions.Check(ctx, space.Tenant, owner.ID, u.ID, u.Epoch, b.Cookies(s.names.MFA(space.Tenant, owner.ID)))
	return ok, err
}
