package pool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Mode says what an import does with an entry that is there already (published
// API 29, insert mode).
type Mode string

// The modes of the published API.
const (
	ModeUpdate Mode = "update" // replaces it as a whole
	ModeIgnore Mode = "ignore" // leaves it
	ModeFail   Mode = "fail"   // Conflict
)

// Dump is what of a tenant an import brings.
type Dump struct {
	Schemas []Schema
	Pools   []Input
	Users   []DumpUser
}

// DumpUser is a user of a Dump. Rev is the revision that it must have, or 0.
type DumpUser struct {
	ImportUser
	PoolID string
	Rev    int64
}

// Plan is a Dump that was checked whole, to be written.
type Plan struct {
	keeper  *Keeper
	tenant  string
	mode    Mode
	schemas []Schema
	pools   []Input
	users   []DumpUser
	ended   []DumpUser
	// Skipped are the users, as pool and id with a slash between, that ModeIgnore
	// leaves.
	Skipped map[string]bool
}

// planner is one call of Keeper.Plan: the keepers as they will be once the
// schemas are written, and the pools that will be there.
type planner struct {
	plan    *Plan
	schemas *Schemas
	pools   *Pools
	users   *Users
	known   map[string]Pool
	claimed map[string]string // pool and name: the place in the dump that has it
}

// Plan checks everything that a dump brings, against itself and against what is
// there, and writes nothing. Errors: Unprocessable and Conflict naming the place
// in the dump, Denied for a system schema that would change.
func (k *Keeper) Plan(ctx context.Context, tenant string, d Dump, m Mode) (*Plan, error) {
	schemas, pools, users := *k.Schemas, *k.Pools, *k.Users
	schemas.over = map[string]json.RawMessage{}
	pools.schemas, users.schemas = &schemas, &schemas
	p := &planner{
		plan:    &Plan{keeper: k, tenant: tenant, mode: m, Skipped: map[string]bool{}},
		schemas: &schemas, pools: &pools, users: &users, known: map[string]Pool{}, claimed: map[string]string{},
	}
	for i := range d.Schemas {
		if err := p.schema(ctx, d.Schemas[i]); err != nil {
			return nil, below(fmt.Sprintf("schemas[%d]", i), err)
		}
	}
	for i := range d.Pools {
		if err := p.pool(ctx, d.Pools[i]); err != nil {
			return nil, below(fmt.Sprintf("pools[%d]", i), err)
		}
	}
	for i := range d.Users {
		at := fmt.Sprintf("users[%d]", i)
		if err := p.user(ctx, at, d.Users[i]); err != nil {
			return nil, below(at, err)
		}
	}
	return p.plan, nil
}

// below puts a path before the member that an error names.
func below(path string, err error) error {
	bad, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	named := *bad
	named.Field = strings.TrimSuffix(path+"."+bad.Field, ".")
	return &named
}

// meet tells whether an entry is to be written, when something may be there.
func (p *planner) meet(lookup error) (write bool, err error) {
	switch {
	case errors.Is(lookup, store.ErrNotFound) || fault.Is(lookup, fault.NotFound):
		return true, nil
	case lookup != nil:
		return false, lookup
	case p.plan.mode == ModeFail:
		return false, fault.At(fault.Conflict, "id", "is there already")
	}
	return p.plan.mode == ModeUpdate, nil
}

func (p *planner) schema(ctx context.Context, s Schema) error {
	if err := record.ID("id", s.ID); err != nil {
		return err
	}
	if _, twice := p.schemas.over[s.ID]; twice {
		return fault.At(fault.Unprocessable, "id", "is there twice")
	}
	if err := s.check(); err != nil {
		return err
	}
	had, err := p.plan.keeper.Schemas.Get(ctx, p.plan.tenant, s.ID)
	if err == nil && had.Name == s.Name && had.Description == s.Description && bytes.Equal(had.Schema, s.Schema) {
		p.schemas.over[s.ID] = s.Schema
		return nil // such as those that every tenant has
	}
	write, missing := p.meet(err)
	if missing != nil || !write {
		return missing
	}
	if err == nil && had.System {
		return fault.At(fault.Denied, "id", "is a system schema, which cannot be changed")
	}
	s.System = false
	p.schemas.over[s.ID] = s.Schema
	p.plan.schemas = append(p.plan.schemas, s)
	return nil
}

func (p *planner) pool(ctx context.Context, in Input) error {
	if err := record.ID("id", in.ID); err != nil {
		return err
	}
	if _, twice := p.known[in.ID]; twice {
		return fault.At(fault.Unprocessable, "id", "is there twice")
	}
	had, err := p.plan.keeper.Pools.Get(ctx, p.plan.tenant, in.ID)
	write, missing := p.meet(err)
	if missing != nil {
		return missing
	}
	if !write {
		p.known[in.ID] = had
		return nil
	}
	next := in.Pool
	next.TenantID = p.plan.tenant
	next.IdentifierCaseInsensitive = had.IdentifierCaseInsensitive
	if in.IdentifierCaseInsensitive != nil {
		next.IdentifierCaseInsensitive = *in.IdentifierCaseInsensitive
	}
	if err := p.pools.settle(ctx, &next); err != nil {
		return err
	}
	next.Epoch = had.Epoch // empty: it is new
	if had.Epoch != "" && next.IdentifierCaseInsensitive != had.IdentifierCaseInsensitive {
		if err := p.pools.refuseWithUsers(ctx, &poolRecord{Pool: had, Epoch: had.Epoch}); err != nil {
			return err
		}
	}
	if err := p.poolName(ctx, &next); err != nil {
		return err
	}
	p.known[in.ID] = next
	p.plan.pools = append(p.plan.pools, in)
	return nil
}

// poolName refuses a name that another pool has, in the dump or in the tenant.
func (p *planner) poolName(ctx context.Context, next *Pool) error {
	n := (&poolRecord{Pool: *next}).names()[0]
	if earlier, ok := p.claimed["/"+n.Key]; ok {
		return fault.At(fault.Conflict, "name", "is that of "+earlier+" as well")
	}
	p.claimed["/"+n.Key] = "the pool " + next.ID
	other, err := p.pools.records.find(ctx, p.plan.tenant, poolSpace, n)
	if err == nil && other.Value.Pool.ID != next.ID && other.Value.names()[0] == n {
		return fault.At(fault.Conflict, "name", "Another pool has this name.")
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (p *planner) user(ctx context.Context, place string, in DumpUser) error {
	if err := record.ID("id", in.ID); err != nil {
		return err
	}
	in0, ok := p.known[in.PoolID]
	if !ok {
		stored, err := p.plan.keeper.Pools.Get(ctx, p.plan.tenant, in.PoolID)
		if fault.Is(err, fault.NotFound) {
			return fault.At(fault.Unprocessable, "user_pool_id", fmt.Sprintf("there is no pool %.200q", in.PoolID))
		}
		if err != nil {
			return err
		}
		in0, p.known[in.PoolID] = stored, stored
	}
	if in0.Epoch != "" {
		row, err := p.users.records.get(ctx, at(&in0, in.ID))
		write, refused := p.meet(err)
		if refused != nil {
			return refused
		}
		if !write {
			p.plan.Skipped[in.PoolID+"/"+in.ID] = true
			return nil
		}
		if in.Rev != 0 && row.Rev != in.Rev {
			return fault.At(fault.Conflict, "id", "The user was changed meanwhile; try again.")
		}
	}
	u, err := p.users.incoming(ctx, &in0, &in.ImportUser, "")
	if err != nil {
		return err
	}
	if err := p.names(ctx, place, &in0, &u); err != nil {
		return err
	}
	p.plan.users = append(p.plan.users, in)
	return nil
}

// names refuses names that another user has, in the dump or in the pool.
func (p *planner) names(ctx context.Context, place string, in *Pool, u *User) error {
	own := store.ID(in.ID, "id", u.ID)
	if earlier, ok := p.claimed[own]; ok {
		return fault.At(fault.Unprocessable, "id", "is that of "+earlier+" as well")
	}
	p.claimed[own] = place
	for _, n := range u.names() {
		id := store.ID(in.ID, "name", n.Source, n.Key)
		if earlier, ok := p.claimed[id]; ok {
			bad := *fault.Read(taken(&takenError{n}, u))
			bad.Public = "is that of " + earlier + " as well"
			return &bad
		}
		p.claimed[id] = place
	}
	if in.Epoch == "" {
		return nil
	}
	return p.users.contested(ctx, in, &User{ID: u.ID}, u)
}
