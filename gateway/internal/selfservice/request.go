package selfservice

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
)

// Delivery is how a code travels.
type Delivery struct {
	Link       bool   // a link beside the code
	Workspace  string // whose brand the message has; may be empty
	Next       string // where an activation leads: an address of the workspace's apps, see Config.Target
	Invitation bool   // somebody else made the account
	LoginID    string // of a login that waits in the browser that asked
	LoginState string
	Prompt     string // what the page that takes an activation asks for; its own word
	// Mechanisms are those that a code for signing in may use: it goes to a verified
	// address that one of them allows, and to no other. Nil: it is for no sign-in.
	Mechanisms []string
	Operator   bool // an administrator or a tenant's own backend asks, not the person

	admitted bool // the message is counted already
}

// Carried is what a code keeps of its Delivery for the page that takes it.
type Carried struct {
	Workspace  string `json:"workspace,omitempty"`
	Next       string `json:"next,omitempty"`
	LoginID    string `json:"login_id,omitempty"`
	LoginState string `json:"login_state,omitempty"`
	Prompt     string `json:"prompt,omitempty"`
	Invitation bool   `json:"invitation,omitempty"`
}

// carried reads what a code keeps. It was written by us; unreadable means
// nothing.
func carried(c code.Code) Carried {
	var k Carried
	_ = json.Unmarshal(c.Data, &k)
	return k
}

// check refuses an address that the workspace's apps do not have.
func (s *Service) check(ctx context.Context, p *pool.Pool, d Delivery) error {
	if d.Next != "" && !s.Target(ctx, p.TenantID, d.Workspace, d.Next) {
		return fault.At(fault.Unprocessable, "post_activation_url", "must be an address of an app of the workspace that server_id names")
	}
	return nil
}

// Request sends a code of a type to a person whom anybody may name. It answers
// nil whether or not there is such a person, after the same time: nothing is
// sent to nobody, to who is not active (of activations: not new), and to an
// address that is not theirs. Errors: NotFound for the pool, Unprocessable for
// what was asked, the store's.
func (s *Service) Request(ctx context.Context, tenant, poolID string, t code.Type, w Who, d Delivery) error {
	start := s.Now()
	p, err := s.Pools.Get(ctx, tenant, poolID)
	if err != nil {
		return err
	}
	if err := w.check(); err != nil {
		return err
	}
	if err := s.check(ctx, &p, d); err != nil {
		return err
	}
	u, err := s.resolve(ctx, &p, w)
	if err != nil {
		return err
	}
	to, refused := pick(&u, t, w)
	if d.Mechanisms != nil {
		to, refused = among(&u, d.Mechanisms, w)
	}
	if refused == nil {
		if refused = s.contested(ctx, &p, &u, t, to); !isFault(refused) {
			return refused
		}
	}
	if refused == nil {
		err = s.send(ctx, &p, &u, t, to, d)
	} else {
		err = s.pretend(ctx, &p, t, w, d)
	}
	err = quiet(err)
	return s.hold(ctx, &p, start, err)
}

// RequestFor is Request by an administrator: what keeps the code from being sent
// is an error. NotFound for the user or an address that is not theirs,
// Unprocessable for their state, TooMany, Unavailable.
func (s *Service) RequestFor(ctx context.Context, tenant, poolID, user string, t code.Type, address string, d Delivery) error {
	p, err := s.Pools.Get(ctx, tenant, poolID)
	if err != nil {
		return err
	}
	if err := s.check(ctx, &p, d); err != nil {
		return err
	}
	u, err := s.Users.Get(ctx, tenant, poolID, user)
	if err != nil {
		return err
	}
	to, err := pick(&u, t, Who{UserID: user, Address: address})
	if err == nil {
		err = s.contested(ctx, &p, &u, t, to)
	}
	if err != nil {
		return err
	}
	return s.send(ctx, &p, &u, t, to, d)
}

// contested refuses an address that a code would only be told at the end to be
// somebody else's: Conflict, of activations Unprocessable.
func (s *Service) contested(ctx context.Context, p *pool.Pool, u *pool.User, t code.Type, to Destination) error {
	if t != code.Activation && t != code.VerifyAddress {
		return nil
	}
	for _, find := range []func(context.Context, string, string, string) (pool.User, error){s.Users.ByAddress, s.Users.ByIdentifier} {
		other, err := found(find(ctx, p.TenantID, p.ID, to.Address))
		switch {
		case err != nil:
			return err
		case other.ID == "" || other.ID == u.ID:
		case t == code.Activation:
			return fault.At(fault.Unprocessable, "address", "is somebody else's")
		default:
			return fault.At(fault.Conflict, "address", "is somebody else's")
		}
	}
	return nil
}

// pretend does what sending to what was typed would cost.
func (s *Service) pretend(ctx context.Context, p *pool.Pool, t code.Type, w Who, d Delivery) error {
	to := w.typed()
	return s.Messages.Pretend(ctx, notify.Message{
		Tenant: p.TenantID, Workspace: d.Workspace, Pool: p.ID, Kind: kind(t, d.Link), To: to, Channel: notify.Channel(to),
		Brand: s.Brand(ctx, p.TenantID, d.Workspace), Expires: s.Now().Add(time.Duration(Setting(p, t).TTL)), Operator: d.Operator,
		Data: notify.Data{Identifier: to, Code: noCode, Link: s.link(p, t, code.Extend("nobody", noCode), d)},
	})
}

// quiet hides that a message could not be sent, for whatever reason it has: of
// nobody's address it would be another. The event log has it.
func quiet(err error) error {
	if isFault(err) {
		return nil
	}
	return err
}

// isFault tells errors that are meant for the caller, and nil, from those of the
// store and our own.
func isFault(err error) bool { return err == nil || !fault.Is(err, fault.Internal) }

// pick chooses where a code of a type goes, or says why it cannot go.
func pick(u *pool.User, t code.Type, w Who) (Destination, error) {
	want := pool.StatusActive
	if t == code.Activation {
		want = pool.StatusNew
	}
	switch {
	case u.ID == "":
		return Destination{}, fault.New(fault.NotFound, "There is no such user.", nil)
	case u.Status != want:
		return Destination{}, fault.New(fault.Unprocessable, fmt.Sprintf("The status of the user is %s; it must be %s.", u.Status, want), nil)
	}
	var usable []*pool.Address
	for i := range u.Addresses {
		if u.Addresses[i].Status == pool.StatusActive {
			usable = append(usable, &u.Addresses[i])
		}
	}
	if w.Address != "" {
		return named(usable, t, w)
	}
	return unnamed(usable, t, w.Identifier)
}

// unnamed chooses among a user's active addresses when none was asked for: that
// of the identifier that was typed, else the first.
func unnamed(usable []*pool.Address, t code.Type, identifier string) (Destination, error) {
	if t == code.VerifyAddress {
		return Destination{}, fault.At(fault.Unprocessable, "address", "is required")
	}
	if t != code.Activation {
		usable = slices.DeleteFunc(usable, func(a *pool.Address) bool { return !a.Verified })
	}
	switch {
	case len(usable) == 0:
		return Destination{}, fault.At(fault.Unprocessable, "address", "the user has no address that a code can go to")
	case len(usable) > 1 && t == code.Activation && identifier == "":
		return Destination{}, fault.At(fault.Unprocessable, "address", "the user has several addresses: name one")
	}
	typed := pool.Spelling(identifier)
	for _, a := range usable {
		if identifier != "" && pool.Spelling(a.Value) == typed {
			return destination(a), nil
		}
	}
	return destination(usable[0]), nil
}

// among is pick for a code that signs in: what an address gets, its owner can
// sign in with, so it must be verified.
func among(u *pool.User, mechanisms []string, w Who) (Destination, error) {
	list := Destinations(u, mechanisms)
	if u.Status != pool.StatusActive || len(list) == 0 {
		return Destination{}, fault.At(fault.Unprocessable, "address", "the user has no address that a code can go to")
	}
	for _, typed := range []string{w.Address, w.Identifier} {
		for _, d := range list {
			if typed != "" && pool.Spelling(d.Address) == pool.Spelling(typed) {
				return d, nil
			}
		}
		if typed != "" && typed == w.Address {
			return Destination{}, fault.At(fault.NotFound, "address", "is not an address of the user that a code can go to")
		}
	}
	return list[0], nil
}

// named is the address that was asked for, if it is the user's.
func named(usable []*pool.Address, t code.Type, w Who) (Destination, error) {
	for _, a := range usable {
		if pool.Spelling(a.Value) != pool.Spelling(w.Address) {
			continue
		}
		if t == code.VerifyAddress && a.Verified {
			return Destination{}, fault.At(fault.Conflict, "address", "is verified already")
		}
		return destination(a), nil
	}
	return Destination{}, fault.At(fault.NotFound, "address", "is not an active address of the user")
}

// kinds are the messages of the types of codes: with the code alone, and with a
// link beside it.
func kind(t code.Type, link bool) notify.Kind {
	pair := [2]notify.Kind{notify.ResetWithCode, notify.ResetWithLink}
	switch t {
	case code.Activation:
		pair = [2]notify.Kind{notify.ActivateWithCode, notify.ActivateWithLink}
	case code.Challenge, code.Authentication:
		pair = [2]notify.Kind{notify.OTP, notify.OTP}
	case code.VerifyAddress:
		pair = [2]notify.Kind{notify.VerifyWithCode, notify.VerifyWithLink}
	case code.ResetPassword, code.ResetTOTP, code.EnrollWebAuthn:
	}
	if link {
		return pair[1]
	}
	return pair[0]
}

// Pages are the last segments of the hosted pages that take a code from a link.
var pages = map[code.Type]string{
	code.Activation: "activate", code.ResetPassword: "reset", code.ResetTOTP: "reset-totp",
	code.EnrollWebAuthn: "passkey", code.VerifyAddress: "verify-address",
}

// link is the address of the page that takes a code. A code that ends nowhere
// has none.
func (s *Service) link(p *pool.Pool, t code.Type, extended string, d Delivery) string {
	page, ok := pages[t]
	if !ok || !d.Link {
		return ""
	}
	q := url.Values{"code": {extended}}
	for name, value := range map[string]string{"server_id": d.Workspace, "login_id": d.LoginID, "login_state": d.LoginState} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return s.Base + "/" + url.PathEscape(p.TenantID) + "/identity/" + url.PathEscape(p.ID) + "/" + page + "?" + q.Encode()
}

// send makes a code, which ends former ones, and hands its message over. A
// message that the budgets refuse makes no code, so that the former one stays
// good: whoever asks twice has one that works.
func (s *Service) send(ctx context.Context, p *pool.Pool, u *pool.User, t code.Type, to Destination, d Delivery) error {
	m := s.message(ctx, p, u, t, to, d)
	about := map[string]any{"user_id": u.ID, "code_type": string(t)}
	var err error
	if !d.admitted {
		err = s.Messages.Admit(ctx, m)
	}
	if err == nil {
		var made code.Issued
		if made, err = s.issue(ctx, p, u, t, to.Address, nil, d); err != nil {
			return err
		}
		m.Data.Code, m.Data.Link, m.Expires, m.Admitted = made.Code, s.link(p, t, made.Extended, d), made.Expires, true
		err = s.Messages.Send(ctx, m)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "a code could not be sent", "tenant_id", p.TenantID, "pool_id", p.ID, "user_id", u.ID, "code_type", t, "error", err)
		if eventErr := s.event(ctx, p, u, audit.SubjectOTP, audit.ActionNotSent, about); eventErr != nil {
			return eventErr
		}
		return err
	}
	return s.event(ctx, p, u, audit.SubjectOTP, audit.ActionSent, about)
}

// message is what carries a code of a user, without the code.
func (s *Service) message(ctx context.Context, p *pool.Pool, u *pool.User, t code.Type, to Destination, d Delivery) notify.Message {
	return notify.Message{
		Tenant: p.TenantID, Workspace: d.Workspace, Pool: p.ID, User: u.ID,
		Kind: kind(t, d.Link), To: to.Address, Channel: to.Channel, Brand: s.Brand(ctx, p.TenantID, d.Workspace),
		Data: notify.Data{
			Name: displayName(u), Identifier: to.Address, Code: noCode, Link: s.link(p, t, code.Extend(u.ID, noCode), d),
			Life: time.Duration(Setting(p, t).TTL), Invitation: d.Invitation,
		},
		Expires: s.Now().Add(time.Duration(Setting(p, t).TTL)), Operator: d.Operator,
	}
}

// noCode stands for a code where there is none.
const noCode = "00000000"

// issue makes a code and records that.
func (s *Service) issue(ctx context.Context, p *pool.Pool, u *pool.User, t code.Type, address string, metadata json.RawMessage, d Delivery) (code.Issued, error) {
	data, err := json.Marshal(Carried{Workspace: d.Workspace, Next: d.Next, LoginID: d.LoginID, LoginState: d.LoginState, Prompt: d.Prompt, Invitation: d.Invitation})
	if err != nil {
		return code.Issued{}, err
	}
	c := Setting(p, t)
	made, err := s.Codes.Issue(ctx, subject(p, u), code.Spec{
		Type: t, Length: c.Length, TTL: time.Duration(c.TTL), Address: address, Metadata: metadata, Data: data,
	})
	if err != nil {
		return made, err
	}
	return made, s.event(ctx, p, u, audit.SubjectOTP, audit.ActionGenerated, map[string]any{"user_id": u.ID, "code_type": string(t)})
}

// Generate makes a code that the caller delivers. Errors as of RequestFor.
func (s *Service) Generate(ctx context.Context, tenant, poolID string, t code.Type, w Who, metadata json.RawMessage) (code.Issued, error) {
	p, err := s.Pools.Get(ctx, tenant, poolID)
	if err != nil {
		return code.Issued{}, err
	}
	if err := w.check(); err != nil {
		return code.Issued{}, err
	}
	u, err := s.resolve(ctx, &p, w)
	if err != nil {
		return code.Issued{}, err
	}
	to, err := pick(&u, t, w)
	if err == nil {
		err = s.contested(ctx, &p, &u, t, to)
	}
	if fault.Is(err, fault.Conflict) { // the API has no such status here
		err = fault.At(fault.Unprocessable, "address", fault.Read(err).Public)
	}
	if err != nil {
		return code.Issued{}, err
	}
	return s.issue(ctx, &p, &u, t, to.Address, metadata, Delivery{})
}

// displayName is how a message addresses a person; empty when nothing is known.
func displayName(u *pool.User) string {
	var profile struct {
		Name  string `json:"name"`
		Given string `json:"given_name"`
	}
	if json.Unmarshal(u.Payload, &profile) != nil {
		return ""
	}
	if profile.Given != "" {
		return profile.Given
	}
	return profile.Name
}
