package selfservice

import (
	"context"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
)

// Registered is the outcome of a registration. Callers that are not trusted
// backends must not see the difference that User makes.
type Registered struct {
	ID           string // the user's; of a taken name the owner's
	Registration string // what the browser that registered may show later; empty when the name was taken
}

// Register makes a user of status new and, if told to, sends the activation
// message. When the identifier or address is somebody's already, the answer is
// the same and the owner is told. A registration that nobody has activated is
// replaced, unless its message may not be sent, such as too soon after the last:
// then it and its code stay, so that nobody can keep others from finishing by
// registering their names again and again. Errors: Denied when the pool does not allow
// registration, Unprocessable naming the member, TooMany, Unavailable.
func (s *Service) Register(ctx context.Context, tenant, poolID string, in pool.Registration, send bool, d Delivery) (Registered, error) {
	start := s.Now()
	p, err := s.Pools.Get(ctx, tenant, poolID)
	if err != nil {
		return Registered{}, err
	}
	if !p.PublicRegistrationAllowed {
		return Registered{}, fault.New(fault.Denied, "Registration is not open here.", nil)
	}
	if err := s.check(ctx, &p, d); err != nil {
		return Registered{}, err
	}
	if err := s.Users.Guard(ctx, tenant, limit.KindSelfRegister, p.ID+"/?"+pool.Spelling(in.Identifier)); err != nil {
		return Registered{}, err
	}
	if send && in.Renew == nil {
		in.Renew = s.renewal(ctx, &p, in, &d)
	}
	made, err := s.Users.Register(ctx, tenant, poolID, in)
	if err != nil {
		return Registered{}, err
	}
	out := Registered{ID: made.User.ID}
	if made.Taken {
		err = quiet(s.tellOwner(ctx, &p, &made.User, in, d))
	} else {
		out.Registration = made.User.Registration
		err = s.welcome(ctx, &p, &made.User, in, send, d)
	}
	return out, s.hold(ctx, &p, start, err)
}

// welcome sends the activation message of a registration.
func (s *Service) welcome(ctx context.Context, p *pool.Pool, u *pool.User, in pool.Registration, send bool, d Delivery) error {
	if !send {
		return nil
	}
	to, err := welcomed(u, in)
	if err != nil {
		return nil //nolint:nilerr // a name that cannot receive, and no address: a backend activates it
	}
	return quiet(s.send(ctx, p, u, code.Activation, to, d))
}

// welcomed is where the activation message of a registration goes.
func welcomed(u *pool.User, in pool.Registration) (Destination, error) {
	w := Who{UserID: u.ID, Address: in.Address}
	if in.Address == "" {
		w.Address = in.Identifier
	}
	return pick(u, code.Activation, w)
}

// renewal decides whether a registration may replace a former one: when its
// message is admitted, which d is told then, or when there is none.
func (s *Service) renewal(ctx context.Context, p *pool.Pool, in pool.Registration, d *Delivery) func(*pool.User) (bool, error) {
	return func(u *pool.User) (bool, error) {
		to, err := welcomed(u, in)
		if err != nil || d.admitted {
			return true, nil //nolint:nilerr // see welcome
		}
		err = s.Messages.Admit(ctx, s.message(ctx, p, u, code.Activation, to, *d))
		d.admitted = err == nil
		return d.admitted, quiet(err)
	}
}

// tellOwner lets the owner of a name know that somebody tried to register it.
func (s *Service) tellOwner(ctx context.Context, p *pool.Pool, u *pool.User, in pool.Registration, d Delivery) error {
	if u.Status != pool.StatusActive {
		return nil
	}
	for i := range u.Addresses {
		a := &u.Addresses[i]
		if !a.Verified || a.Status != pool.StatusActive {
			continue
		}
		to := destination(a)
		err := s.Messages.Send(ctx, notify.Message{
			Tenant: p.TenantID, Workspace: d.Workspace, Pool: p.ID, User: u.ID, Kind: notify.IdentifierUsed,
			To: to.Address, Channel: to.Channel, Brand: s.Brand(ctx, p.TenantID, d.Workspace),
			Data: notify.Data{Name: displayName(u), Identifier: in.Identifier}, Expires: s.Now().Add(ownerLife), Operator: d.Operator,
		})
		if err == nil {
			err = s.event(ctx, p, u, audit.SubjectUser, audit.ActionNotified, map[string]any{"user_id": u.ID, "reason": "identifier_used"})
		}
		return err
	}
	return nil
}

// Activation is how a person activates their account.
type Activation struct {
	pool.Activation
	Trusted bool   // a backend vouches that the credentials of the registration are the person's own
	Code    string // short, or extended
	Who     Who    // whose; empty with an extended code
	Kind    string // under which brute-force kind the code counts (contract, section 24)
}

// Activated is an active user and what their code carried.
type Activated struct {
	User pool.User
	Carried
}

// Activate makes a new user active: the address that the code went to is
// verified and becomes an identifier. Errors: code.ErrWrong for a code that does
// not hold, Unprocessable when the user is not new or what comes with the code
// breaks a rule (the code stays good), Conflict, TooMany.
func (s *Service) Activate(ctx context.Context, tenant, poolID string, in Activation) (Activated, error) {
	start := s.Now()
	p, u, short, err := s.holder(ctx, tenant, poolID, in.Who, in.Code)
	if err != nil {
		return Activated{}, err
	}
	at := s.of(&p, &u, in.Who, in.Code)
	seen, err := s.Codes.Peek(ctx, in.Kind, at, code.Activation, "", short)
	if err != nil {
		return Activated{}, s.refused(ctx, &p, &u, code.Activation, start, err)
	}
	if in.Address != "" && pool.Spelling(in.Address) != pool.Spelling(seen.Address) {
		return Activated{}, s.refused(ctx, &p, &u, code.Activation, start, code.ErrWrong)
	}
	in.Address = seen.Address
	if in.Trusted {
		in.Registration = u.Registration
	}
	in.Spend = s.spend(seen)
	done, err := s.Users.Activate(ctx, tenant, poolID, u.ID, in.Activation)
	if err != nil {
		return Activated{}, s.refused(ctx, &p, &u, code.Activation, start, s.raced(ctx, seen, err))
	}
	return Activated{User: done, Carried: carried(seen)}, s.accepted(ctx, &p, &done, code.Activation)
}
