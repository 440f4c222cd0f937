package pool

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Registration is what somebody registers themselves with.
type Registration struct {
	Identifier string // e-mail address, phone number or uid, by its shape
	// Address receives the activation message: of another type than the identifier.
	// Empty: the identifier, when it can receive.
	Address    string
	Payload    json.RawMessage // this and the following may be missing
	Password   string
	TOTPSecret string
	Passkeys   []credential.Passkey
	// Renew is asked before a user who never activated is replaced, with what would
	// take their place, and perhaps again. If it says no, their name is Taken. Nil:
	// yes.
	Renew func(*User) (bool, error)
}

// Registered is the outcome of a registration.
type Registered struct {
	// User is the new or renewed user, or who has the name already. Of somebody who
	// is being written at this moment it has the ID alone.
	User    User
	Taken   bool // the identifier or the address is somebody's; not to be shown
	Renewed bool // it was that of a user who never activated, who is replaced
}

// registrants is how many may register one name at the same moment: each round
// that fails means that another one got through.
const registrants = 64

// registrant is a registration that was checked.
type registrant struct {
	Registration
	user   User   // without credentials
	hash   string // of the password; empty: none
	secret string // of TOTP; empty: none
}

// Register makes a user of status new, with an address that is not verified. It
// leaves it to the caller whether the pool's users may register themselves.
//
// The name of a user who registered themselves and never activated can be
// registered again, as nobody has shown that it is theirs: payload, identifiers,
// addresses and credentials are replaced, Registration and epoch are others. The
// name of anybody else is Taken, after the same checks, the same hashing and at
// least the time of credential.Verifier.Floor. Errors: Unprocessable naming the
// member, Conflict for a passkey that somebody else has, Unavailable.
func (k *Users) Register(ctx context.Context, tenant, pool string, in Registration) (Registered, error) {
	start := k.config.Now()
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return Registered{}, err
	}
	r, err := k.registrant(ctx, &p, in)
	if err != nil {
		return Registered{}, err
	}
	out, err := k.enter(ctx, &p, r)
	if err != nil {
		return Registered{}, err
	}
	return out, k.config.Passwords.Hold(ctx, tenant, start)
}

// registrant checks a registration and hashes its password.
func (k *Users) registrant(ctx context.Context, p *Pool, in Registration) (*registrant, error) {
	now := k.config.Now().UTC()
	r := &registrant{Registration: in, user: User{
		ID: vault.NewID(), TenantID: p.TenantID, PoolID: p.ID, PoolEpoch: p.Epoch, Epoch: vault.NewID(),
		Status: StatusNew, StatusUpdatedAt: now, CreatedAt: now, UpdatedAt: now,
		Registration: vault.NewID(), SelfRegistered: true,
		PayloadSchemaID: p.PayloadSchemaID, MetadataSchemaID: p.MetadataSchemaID, BusinessMetadataSchemaID: p.BusinessMetadataSchemaID,
	}}
	if err := r.name(p, now); err != nil {
		return nil, err
	}
	if err := (&Documents{Payload: in.Payload}).apply(ctx, k.schemas, &r.user); err != nil {
		return nil, err
	}
	if err := checkPasskeys("webauthn_credentials", in.Passkeys); err != nil {
		return nil, err
	}
	var err error
	if in.TOTPSecret != "" {
		if r.secret, err = credential.ParseTOTPSecret("totp_secret", in.TOTPSecret); err != nil {
			return nil, err
		}
	}
	if in.Password == "" {
		return r, nil
	}
	if err := k.policy(p, &r.user, "password", in.Password); err != nil {
		return nil, err
	}
	r.hash, err = k.config.Passwords.Make(ctx, p.TenantID, p.PasswordSettings.HashingMethod, in.Password)
	return r, err
}

// name gives the user their identifier and address.
func (r *registrant) name(p *Pool, now time.Time) error {
	kind := shape(r.Identifier)
	id, err := (&NewUserIdentifier{Type: kind, Identifier: r.Identifier}).identifier("", p, now)
	if err != nil {
		return err
	}
	r.user.Identifiers = []Identifier{id}
	address := r.Address
	if address == "" && kind == UID {
		return nil
	}
	if address == "" {
		address = r.Identifier
	}
	if shape(address) == UID {
		return fault.At(fault.Unprocessable, "otp_address", "must be an e-mail address or a phone number in international form, such as +48123456789")
	}
	a, err := (&NewUserVerifiableAddress{Type: shape(address), Address: address}).address("otp_", p, now)
	if err != nil {
		return err
	}
	if a.Type == kind && a.name() != id.name() {
		return fault.At(fault.Unprocessable, "otp_address", "must be of another type than the identifier")
	}
	r.user.Addresses = []Address{a}
	return nil
}

// shape tells the type of an identifier that a person types.
func shape(text string) string {
	text = canonical(text)
	if _, ok := phone(text); ok {
		return Mobile
	}
	if strings.Contains(text, "@") {
		return Email
	}
	return UID
}

// places are the names that the registration stands for, whether it claims them
// or not.
func (r *registrant) places() []name {
	out := []name{r.user.Identifiers[0].name()}
	for i := range r.user.Addresses {
		out = append(out, r.user.Addresses[i].name())
	}
	return out
}

// arm gives the user the credentials of the registration.
func (k *Users) arm(p *Pool, r *registrant, u *User, now time.Time) error {
	u.Credentials = nil
	for _, key := range r.Passkeys {
		if err := u.enrol(key, "webauthn_credentials", false, now); err != nil {
			return err
		}
	}
	if r.hash != "" {
		c := u.credential(TypePassword, now)
		c.Hash, c.UpdatedAt, c.ExpiresAt = r.hash, now, p.expiry(now)
	}
	if r.secret != "" {
		return k.seal(u, r.secret, now)
	}
	return nil
}

// renewable tells whether nobody has ever shown that the user's names are
// theirs.
func (u *User) renewable() bool {
	return u.Status == StatusNew && u.SelfRegistered && u.Registration != ""
}

// enter writes the registration: it looks who has the names, and again when that
// changed meanwhile.
func (k *Users) enter(ctx context.Context, p *Pool, r *registrant) (Registered, error) {
	contended := false // somebody has claimed the name who does not have it yet
	for range registrants {
		rival, err := k.rival(ctx, p, r)
		if err == nil && rival.ID == "" && contended {
			rival, err = k.claimant(ctx, p, r)
		}
		if err != nil {
			return Registered{}, err
		}
		var u User
		switch {
		case rival.ID == "":
			u, err = k.admit(ctx, p, r)
		case rival.renewable():
			var yes bool
			if yes, err = r.may(&rival); err == nil && !yes {
				return Registered{User: rival, Taken: true}, nil
			}
			if err == nil {
				u, err = k.renew(ctx, p, &rival, r)
			}
		default:
			return Registered{User: rival, Taken: true}, nil
		}
		if err == nil {
			return Registered{User: u, Renewed: rival.ID != ""}, nil
		}
		lost, ok := errors.AsType[*takenError](err)
		if !errors.Is(err, errPassed) && (!ok || lost.name.Source == TypeWebAuthn) {
			return Registered{}, err
		}
		contended = ok
	}
	return Registered{}, fault.New(fault.Unavailable, "Others are registering the same at this moment; try again.", errMoved)
}

// may tells whether the registration may replace a user who never activated.
func (r *registrant) may(old *User) (bool, error) {
	if r.Renew == nil {
		return true, nil
	}
	next := r.user
	next.ID = old.ID
	return r.Renew(&next)
}

// admit makes a new user of the registration.
func (k *Users) admit(ctx context.Context, p *Pool, r *registrant) (User, error) {
	u := r.user
	if err := k.arm(p, r, &u, u.CreatedAt); err != nil {
		return User{}, err
	}
	return k.insert(ctx, p, u)
}

// rival returns who has a name of the registration, first the identifier, then
// the address; or nobody. Of two, it is the one who cannot be renewed. Passkeys
// are looked at here as well, before anybody can tell whether the name is taken.
func (k *Users) rival(ctx context.Context, p *Pool, r *registrant) (User, error) {
	var found User
	for _, n := range r.places() {
		u, err := k.holder(ctx, p, n)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return User{}, err
		}
		if found.ID == "" || found.renewable() && !u.renewable() {
			found = u
		}
	}
	for _, key := range r.Passkeys {
		n := passkeyName(key.ID)
		u, err := k.holder(ctx, p, n)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil && (u.ID != found.ID || !found.renewable()) {
			err = taken(&takenError{n}, &r.user)
		}
		if err != nil {
			return User{}, err
		}
	}
	return found, nil
}

// claimant returns who has claimed the identifier and is about to be written
// with it, with the ID alone; or nobody.
func (k *Users) claimant(ctx context.Context, p *Pool, r *registrant) (User, error) {
	n := r.places()[0]
	at := claim{Space: p.Epoch, Source: n.Source, Key: n.Key}
	row, err := k.records.claims.table.Get(ctx, p.TenantID, at.id())
	if err != nil || row.Value.State != pending {
		return User{}, ignoreGone(err)
	}
	return User{ID: row.Value.Owner, TenantID: p.TenantID, PoolID: p.ID, PoolEpoch: p.Epoch}, nil
}

// renew puts the registration in the place of one that was never activated.
// errPassed means that there is no such any more.
func (k *Users) renew(ctx context.Context, p *Pool, old *User, r *registrant) (User, error) {
	var tried User
	row, err := k.records.update(ctx, at(p, old.ID), 0, func(u *User) error {
		held := func(n name) bool { return slices.Contains(u.names(), n) }
		if u.Epoch != old.Epoch || !u.renewable() || !slices.ContainsFunc(r.places(), held) {
			return errPassed
		}
		now := k.config.Now().UTC()
		if err := k.arm(p, r, u, now); err != nil {
			return err
		}
		// What an administrator has added stays.
		others := slices.DeleteFunc(u.Identifiers, func(i Identifier) bool { return i.Source == "" })
		u.Identifiers = append(slices.Clone(r.user.Identifiers), others...)
		u.Addresses = slices.Clone(r.user.Addresses)
		u.Payload, u.PayloadSchemaID = r.user.Payload, r.user.PayloadSchemaID
		// It is another person as far as anybody knows: nothing that was given to the
		// former one holds, and whoever made them and got no answer does not take this
		// one back.
		u.Epoch, u.Registration = r.user.Epoch, r.user.Registration
		u.StatusUpdatedAt, u.UpdatedAt = now, now
		tried = *u
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return User{}, errPassed
	}
	if err != nil {
		return User{}, taken(err, &tried)
	}
	u := loaded(row)
	if err := k.config.changed(ctx, changes.KindUser, p.TenantID, p.ID+"/"+u.ID); err != nil {
		return u, err
	}
	return u, k.event(ctx, p, &u, audit.SubjectUser, audit.ActionUpdated, "registered again")
}

// CheckRegistration reports what would refuse a registration, and neither whether
// its name is taken nor what its password is like. It writes nothing.
func (k *Users) CheckRegistration(ctx context.Context, tenant, pool string, in Registration) error {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return err
	}
	in.Password = ""
	_, err = k.registrant(ctx, &p, in)
	return err
}
