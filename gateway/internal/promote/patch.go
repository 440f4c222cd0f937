package promote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
)

const (
	maxOperations = 1000
	maxCopied     = 8 << 20 // bytes that copy operations may add to a dump
)

// Patch changes a tenant by a JSON Patch (RFC 6902) of its dump: what differs
// afterwards is imported, and what is missing is removed. A user who was changed
// since the dump was made is Conflict. Errors: Invalid for what is no patch,
// Unprocessable for one that does not fit, else those of Import.
func (x *Identity) Patch(ctx context.Context, tenant string, patch []byte, m pool.Mode) error {
	before, err := x.Export(ctx, tenant)
	if err != nil {
		return err
	}
	doc, err := json.Marshal(before)
	if err != nil {
		return err
	}
	was, err := read(doc) // in the form in which the patched one is read
	if err != nil {
		return err
	}
	if doc, err = applyPatch(doc, patch); err != nil {
		return err
	}
	now, err := read(doc)
	if err != nil {
		return fault.New(fault.Unprocessable, "The patched configuration cannot be read: "+fault.Read(err).Public, err)
	}
	changed, gone, err := compare(was, now)
	if err != nil {
		return err
	}
	changed.userRevs = before.userRevs
	p, err := x.plan(ctx, tenant, changed, m)
	if err != nil {
		return err
	}
	if err := p.apply(ctx); err != nil {
		return err
	}
	return x.remove(ctx, tenant, gone, before.userRevs)
}

func applyPatch(doc, patch []byte) ([]byte, error) {
	p, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, fault.New(fault.Invalid, "The body is not a JSON Patch: an array of operations.", err)
	}
	if len(p) > maxOperations {
		return nil, fault.New(fault.Unprocessable, fmt.Sprintf("A patch has at most %d operations.", maxOperations), nil)
	}
	o := jsonpatch.NewApplyOptions()
	o.AccumulatedCopySizeLimit = maxCopied
	o.SupportNegativeIndices = false
	out, err := p.ApplyWithOptions(doc, o)
	if err != nil {
		// The library's errors name operations and paths, and no values.
		return nil, fault.New(fault.Unprocessable, fmt.Sprintf("The patch does not fit the configuration: %.300v.", err), err)
	}
	return out, nil
}

// read reads a dump.
func read(doc []byte) (*TenantDump, error) {
	var d TenantDump
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, fault.New(fault.Unprocessable, err.Error(), err)
	}
	for i, raw := range d.Pools {
		var p pool.Pool
		err := json.Unmarshal(raw, &p)
		if err == nil {
			d.Pools[i], err = json.Marshal(p)
		}
		if err != nil {
			return nil, place("pools", i, fault.New(fault.Unprocessable, "is not a pool", err))
		}
	}
	return &d, nil
}

// compare returns what is new or other in a patched dump, and what is no longer
// in it. A user of whom one entry differs comes with all.
func compare(was, now *TenantDump) (changed, gone *TenantDump, err error) {
	changed, gone = &TenantDump{}, &TenantDump{}
	var errs []error
	keep := func(err error) { errs = append(errs, err) }
	keep(differ(was.Schemas, now.Schemas, func(s *pool.Schema) string { return s.ID }, &changed.Schemas, &gone.Schemas))
	keep(differ(was.Pools, now.Pools, idOf, &changed.Pools, &gone.Pools))
	keep(differ(was.Groups, now.Groups, func(g *pool.InternalGroup) string { return g.UserPoolID + "/" + g.ID }, &changed.Groups, &gone.Groups))
	keep(differ(was.GroupMembers, now.GroupMembers, func(m *pool.GroupMember) string {
		return m.UserPoolID + "/" + m.GroupID + "/" + m.UserID
	}, &changed.GroupMembers, &gone.GroupMembers))
	keep(differ(was.Codes, now.Codes, func(c *Code) string { return c.user() + "/" + c.Type + "/" + c.ID }, &changed.Codes, &gone.Codes))
	people, lost := []person{}, []person{}
	keep(differ(was.people(), now.people(), func(p *person) string { return p.key }, &people, &lost))
	for _, p := range people {
		p.into(changed)
	}
	for _, p := range lost {
		p.into(gone)
	}
	return changed, gone, errors.Join(errs...)
}

// idOf is the id of a pool that read has read.
func idOf(raw *json.RawMessage) string {
	var p struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(*raw, &p)
	return p.ID
}

// differ sorts entries into those that are new or other, and those that are gone.
func differ[T any](was, now []T, key func(*T) string, changed, gone *[]T) error {
	old := map[string][]byte{}
	for i := range was {
		raw, err := json.Marshal(&was[i])
		if err != nil {
			return err
		}
		old[key(&was[i])] = raw
	}
	left := map[string]bool{}
	for i := range now {
		raw, err := json.Marshal(&now[i])
		if err != nil {
			return err
		}
		left[key(&now[i])] = true
		if !bytes.Equal(raw, old[key(&now[i])]) {
			*changed = append(*changed, now[i])
		}
	}
	for i := range was {
		if !left[key(&was[i])] {
			*gone = append(*gone, was[i])
		}
	}
	return nil
}

// person is a user with all entries. Those of nobody have no User.
type person struct {
	key         string
	User        *User
	Identifiers []Identifier
	Addresses   []Address
	Credentials []Credential
}

func (d *TenantDump) people() []person {
	var out []person
	at := map[string]int{}
	of := func(key string) *person {
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key], out = i, append(out, person{key: key})
		}
		return &out[i]
	}
	for i := range d.Users {
		of(d.Users[i].UserPoolID + "/" + d.Users[i].ID).User = &d.Users[i]
	}
	for _, v := range d.UserIdentifiers {
		p := of(v.user())
		p.Identifiers = append(p.Identifiers, v)
	}
	for _, v := range d.UserAddresses {
		p := of(v.user())
		p.Addresses = append(p.Addresses, v)
	}
	for _, v := range d.UserCredentials {
		p := of(v.user())
		p.Credentials = append(p.Credentials, v)
	}
	return out
}

func (p *person) into(d *TenantDump) {
	if p.User != nil {
		d.Users = append(d.Users, *p.User)
	}
	d.UserIdentifiers = append(d.UserIdentifiers, p.Identifiers...)
	d.UserAddresses = append(d.UserAddresses, p.Addresses...)
	d.UserCredentials = append(d.UserCredentials, p.Credentials...)
}

// remove removes what a patch took away, from the leaves up. What is gone already
// is well.
func (x *Identity) remove(ctx context.Context, tenant string, gone *TenantDump, revs map[string]int64) error {
	k := x.Keeper
	erase := x.Delete
	if erase == nil {
		erase = k.Users.Delete
	}
	slices.Reverse(gone.Groups) // those inside come behind the ones around them
	for _, step := range []func() error{
		func() error { return each(gone.Codes, func(c *Code) error { return x.dropCode(ctx, tenant, c) }) },
		func() error {
			return each(gone.GroupMembers, func(m *pool.GroupMember) error {
				return k.Groups.Remove(ctx, tenant, m.UserPoolID, m.GroupID, m.UserID)
			})
		},
		func() error {
			return each(gone.Groups, func(g *pool.InternalGroup) error { return k.Groups.Delete(ctx, tenant, g.UserPoolID, g.ID, 0) })
		},
		func() error {
			return each(gone.Users, func(u *User) error { return erase(ctx, tenant, u.UserPoolID, u.ID, revs[u.UserPoolID+"/"+u.ID]) })
		},
		func() error {
			return each(gone.Pools, func(raw *json.RawMessage) error { return k.Pools.Delete(ctx, tenant, idOf(raw), 0) })
		},
		func() error {
			return each(gone.Schemas, func(s *pool.Schema) error { return k.Schemas.Delete(ctx, tenant, s.ID, 0) })
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// each does something with every entry until it fails; NotFound is no failure.
func each[T any](list []T, do func(*T) error) error {
	for i := range list {
		if err := do(&list[i]); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

func (x *Identity) dropCode(ctx context.Context, tenant string, c *Code) error {
	u, err := x.Keeper.Users.Get(ctx, tenant, c.UserPoolID, c.UserID)
	if err != nil || x.Codes == nil {
		return err
	}
	s := code.Subject{Tenant: tenant, Pool: u.PoolID, PoolEpoch: u.PoolEpoch, User: u.ID, UserEpoch: u.Epoch}
	return x.Codes.Drop(ctx, s, code.Type(c.Type))
}
