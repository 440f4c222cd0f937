package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Users keeps the users of pools. Every operation answers NotFound for a pool
// that is not there. Safe for concurrent use.
type Users struct {
	config   *Config
	table    *store.Table[User]
	records  *records[User]
	pools    *Pools
	schemas  *Schemas
	mfa      *MFASessions
	groups   *Groups
	strength *credential.Estimator
}

func openUsers(ctx context.Context, s *store.Store, c *Config, names *store.Table[claim], pools *Pools, mfa *MFASessions) (*Users, error) {
	t, err := store.Declare(ctx, s, store.Spec[User]{
		Name:    "users",
		Version: 2, // 1 kept passkeys as they were given: see Credential.Adopt
		Indexes: map[string]func(*User) (store.Key, bool){
			"kind":            (*User).byKind,
			"payload_schema":  bySchema(func(u *User) string { return u.PayloadSchemaID }),
			"metadata_schema": bySchema(func(u *User) string { return u.MetadataSchemaID }),
			"business_schema": bySchema(func(u *User) string { return u.BusinessMetadataSchemaID }),
		},
		Expires: func(u *User) time.Time { return u.Grave.Until },
	})
	if err != nil {
		return nil, err
	}
	rs := &records[User]{
		table:  t,
		claims: &claims{table: names, now: c.Now},
		names:  (*User).names,
		clone:  User.clone,
		epoch:  func(u *User) string { return u.Epoch },
		buried: func(u *User) *grave { return &u.Grave },
		row:    func(o owner) string { return store.ID(o.space, o.id) },
	}
	rs.claims.look = rs.look
	return &Users{config: c, table: t, records: rs, pools: pools, schemas: pools.schemas, mfa: mfa, strength: credential.NewEstimator()}, nil
}

// at is where a user stands.
func at(p *Pool, user string) owner { return owner{p.TenantID, p.Epoch, user} }

// Create stores a new user. Errors: Unprocessable naming the member, Conflict
// for the id, an identifier or a verified address, Unavailable when too much is
// being hashed.
func (k *Users) Create(ctx context.Context, tenant, pool string, in NewUser) (User, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return User{}, err
	}
	u, err := k.build(ctx, &p, in)
	if err != nil {
		return User{}, err
	}
	return k.insert(ctx, &p, u)
}

// insert stores a new user.
func (k *Users) insert(ctx context.Context, p *Pool, u User) (User, error) {
	row, err := k.records.insert(ctx, at(p, u.ID), u)
	if err != nil {
		return User{}, taken(err, &u)
	}
	u = loaded(row)
	if err := k.confirm(ctx, p, &u); err != nil {
		return User{}, err
	}
	return u, k.event(ctx, p, &u, audit.SubjectUser, audit.ActionCreated, "")
}

// confirm takes a creation back when the pool was deleted meanwhile, or compares
// identifiers in another way now; see Pools.confirmCase.
func (k *Users) confirm(ctx context.Context, was *Pool, u *User) error {
	p, err := k.pools.Get(ctx, was.TenantID, was.ID)
	if err == nil && p.Epoch == was.Epoch && p.IdentifierCaseInsensitive == was.IdentifierCaseInsensitive {
		return nil
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	_, undo := k.records.remove(ctx, at(was, u.ID), 0, func(now *User) error {
		if now.Epoch != u.Epoch {
			return store.ErrNotFound
		}
		return nil
	})
	if err == nil && p.Epoch != was.Epoch {
		err = poolFault(store.ErrNotFound)
	} else if err == nil {
		err = fault.New(fault.Conflict, "The pool was changed meanwhile; try again.", nil)
	}
	return errors.Join(err, ignoreGone(undo))
}

// build checks what a caller sent and makes a user of it.
func (k *Users) build(ctx context.Context, p *Pool, in NewUser) (User, error) {
	now := k.config.Now().UTC()
	u := User{
		ID: orElse(in.ID, vault.NewID()), TenantID: p.TenantID, PoolID: p.ID, PoolEpoch: p.Epoch, Epoch: vault.NewID(),
		Status: in.Status, StatusUpdatedAt: now, CreatedAt: now, UpdatedAt: now,
		PayloadSchemaID: p.PayloadSchemaID, MetadataSchemaID: p.MetadataSchemaID, BusinessMetadataSchemaID: p.BusinessMetadataSchemaID,
	}
	u.UserType, _ = in.UserType.(string)
	for _, err := range []error{
		record.ID("id", u.ID), free(u.ID), record.OneOf("status", u.Status, statuses), record.Text("user_type", u.UserType, 64),
	} {
		if err != nil {
			return u, err
		}
	}
	if err := in.Documents.apply(ctx, k.schemas, &u); err != nil {
		return u, err
	}
	if len(in.Identifiers) > maxEntries || len(in.VerifiableAddresses) > maxEntries {
		return u, fault.New(fault.Unprocessable, fmt.Sprintf("A user has at most %d identifiers and %d addresses.", maxEntries, maxEntries), nil)
	}
	for i := range in.Identifiers {
		path := fmt.Sprintf("identifiers[%d].", i)
		id, err := in.Identifiers[i].identifier(path, p, now)
		if err != nil {
			return u, err
		}
		if slices.ContainsFunc(u.Identifiers, func(o Identifier) bool { return o.name() == id.name() }) {
			return u, fault.At(fault.Unprocessable, path+"identifier", "is there twice")
		}
		u.Identifiers = append(u.Identifiers, id)
	}
	for i := range in.VerifiableAddresses {
		path := fmt.Sprintf("verifiable_addresses[%d].", i)
		a, err := in.VerifiableAddresses[i].address(path, p, now)
		if err != nil {
			return u, err
		}
		if u.address(a.name()) >= 0 {
			return u, fault.At(fault.Unprocessable, path+"address", "is there twice")
		}
		u.Addresses = append(u.Addresses, a)
	}
	return u, k.equip(ctx, p, &u, in.Credentials, now)
}

// equip adds credentials to a new user: hashing, which is slow, comes last.
func (k *Users) equip(ctx context.Context, p *Pool, u *User, in []NewUserCredential, now time.Time) error {
	password := -1
	for i := range in {
		path := fmt.Sprintf("credentials[%d].", i)
		c, err := in[i].credential(k.config.Ring, path, u, now)
		if err != nil {
			return err
		}
		if u.Credential(c.Type) != nil {
			return fault.At(fault.Unprocessable, path+"type", "is there twice")
		}
		if c.Type == TypePassword {
			password = i
			if err := k.policy(p, u, path+"password", in[i].Password); err != nil {
				return err
			}
		}
		u.Credentials = append(u.Credentials, c)
	}
	if password < 0 {
		return nil
	}
	hash, err := k.config.Passwords.Make(ctx, p.TenantID, p.PasswordSettings.HashingMethod, in[password].Password)
	if err != nil {
		return err
	}
	c := u.Credential(TypePassword)
	c.Hash, c.ExpiresAt = hash, p.expiry(now)
	return nil
}

// expiry is when a password that is set now expires; zero: never.
func (p *Pool) expiry(now time.Time) time.Time {
	if p.PasswordSettings.ExpiresAfter <= 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(p.PasswordSettings.ExpiresAfter))
}

// free refuses ids that stand for an operation in paths.
func free(id string) error {
	if slices.Contains([]string{"by_key", "import", "export"}, id) {
		return fault.At(fault.Unprocessable, "id", "is reserved")
	}
	return nil
}

// Get returns a user, or NotFound.
func (k *Users) Get(ctx context.Context, tenant, pool, user string) (User, error) {
	_, u, err := k.load(ctx, tenant, pool, user)
	return u, err
}

func (k *Users) load(ctx context.Context, tenant, pool, user string) (Pool, User, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return p, User{}, err
	}
	row, err := k.records.get(ctx, at(&p, user))
	if err != nil {
		return p, User{}, userFault(err)
	}
	return p, loaded(row), nil
}

// Update changes payload, metadata, their schemas, and status; rev is the
// revision the caller has seen, or 0. A status other than active ends what the
// user is signed in to.
func (k *Users) Update(ctx context.Context, tenant, pool, user string, rev int64, in UpdateUser) (User, error) {
	if in.Status != "" {
		if err := record.OneOf("status", in.Status, statuses); err != nil {
			return User{}, err
		}
	}
	write := writing{rev: rev, ends: in.Status != "" && in.Status != StatusActive, details: "data"}
	return k.change(ctx, tenant, pool, user, write, func(_ *Pool, u *User, now time.Time) error {
		if in.Status != "" && in.Status != u.Status {
			u.Status, u.StatusUpdatedAt = in.Status, now
		}
		return in.Documents.apply(ctx, k.schemas, u)
	})
}

// count returns the number of a pool's users of one kind.
func (k *Users) count(ctx context.Context, p Pool, kind string) (int, error) {
	return k.table.Count(ctx, p.TenantID, store.Query{Index: "kind", Equal: store.ID(p.Epoch, kind)})
}

// uses tells whether a user refers to a schema.
func (k *Users) uses(ctx context.Context, tenant, schema string) (bool, error) {
	for _, index := range []string{"payload_schema", "metadata_schema", "business_schema"} {
		rows, err := k.table.Find(ctx, tenant, store.Query{Index: index, Equal: schema}, store.Page{Limit: 1})
		if err != nil || len(rows) > 0 {
			return true, err
		}
	}
	return false, nil
}

func loaded(row store.Row[User]) User {
	u := row.Value
	u.Rev = row.Rev
	return u
}

func userFault(err error) error { return record.Fault(err, "user") }

// taken turns a lost name into a fault that says which member has it; u is the
// user as it was to be.
func taken(err error, u *User) error {
	lost, ok := errors.AsType[*takenError](err)
	if !ok {
		return userFault(err)
	}
	out := &fault.Error{Kind: fault.Conflict, Public: "Another user of this pool has this identifier or verified address.", Cause: err}
	if lost.name.Source == TypeWebAuthn {
		out.Public = "Another user of this pool has this passkey."
		return out
	}
	for i := range u.Identifiers {
		if u.Identifiers[i].name() == lost.name {
			out.Field = fmt.Sprintf("identifiers[%d].identifier", i)
			return out
		}
	}
	if i := u.address(lost.name); i >= 0 {
		out.Field = fmt.Sprintf("verifiable_addresses[%d].address", i)
	}
	return out
}
