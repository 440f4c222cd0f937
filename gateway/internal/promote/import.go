package promote

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
)

// Modes returns the names of the modes of an import. The caller may change the
// result.
func Modes() []string {
	return []string{string(pool.ModeUpdate), string(pool.ModeIgnore), string(pool.ModeFail)}
}

// Import writes a dump into a tenant, whatever tenant its entries name: entries
// that are there are replaced as a whole, or what m says. All of it is checked
// before anything is written. Errors: Unprocessable and Conflict naming the place
// in the dump.
func (x *Identity) Import(ctx context.Context, tenant string, d *TenantDump, m pool.Mode) error {
	p, err := x.plan(ctx, tenant, d, m)
	if err != nil {
		return err
	}
	return p.apply(ctx)
}

// plan is a dump that was checked.
type plan struct {
	*Identity
	tenant  string
	mode    pool.Mode
	dump    *TenantDump
	inner   *pool.Plan
	groups  []pool.InternalGroup
	members []pool.GroupMember
	codes   []code.Record // without epochs
}

func (x *Identity) plan(ctx context.Context, tenant string, d *TenantDump, m pool.Mode) (*plan, error) {
	p := &plan{Identity: x, tenant: tenant, mode: m, dump: d}
	in, err := p.gather(ctx)
	if err != nil {
		return nil, err
	}
	if p.inner, err = x.Keeper.Plan(ctx, tenant, in, m); err != nil {
		return nil, renameCredentials(d, in, err)
	}
	c := p.checker()
	for i := range d.Groups {
		if err := c.group(ctx, &d.Groups[i]); err != nil {
			return nil, place("groups", i, err)
		}
	}
	for i := range d.GroupMembers {
		if err := c.member(ctx, d.GroupMembers[i]); err != nil {
			return nil, place("group_members", i, err)
		}
	}
	for i := range d.Codes {
		if err := c.code(ctx, &d.Codes[i]); err != nil {
			return nil, place("codes", i, err)
		}
	}
	return p, nil
}

// gather brings the entries of each user together.
func (p *plan) gather(ctx context.Context) (pool.Dump, error) {
	d := p.dump
	out := pool.Dump{Schemas: d.Schemas}
	if len(d.Users) > MostImported {
		return out, fault.At(fault.Unprocessable, "users", fmt.Sprintf("are more than %d: send them in several imports, or by `gatepost users import`", MostImported))
	}
	for i, raw := range d.Pools {
		var in pool.Input
		if err := json.Unmarshal(raw, &in); err != nil {
			return out, place("pools", i, fault.New(fault.Unprocessable, "is not a pool", err))
		}
		if in.WorkspaceID != "" && p.Workspace != nil {
			if err := p.Workspace(ctx, p.tenant, in.WorkspaceID); err != nil {
				return out, place("pools", i, named(err, "workspace_id", "names no workspace"))
			}
		}
		out.Pools = append(out.Pools, in)
	}
	at := map[string]*pool.DumpUser{}
	out.Users = make([]pool.DumpUser, len(d.Users))
	for i := range d.Users {
		u := &d.Users[i]
		out.Users[i] = pool.DumpUser{PoolID: u.UserPoolID, Rev: d.userRevs[u.UserPoolID+"/"+u.ID], ImportUser: u.imported()}
		at[u.UserPoolID+"/"+u.ID] = &out.Users[i]
	}
	return out, d.spread(at)
}

func (u *User) imported() pool.ImportUser {
	return pool.ImportUser{
		NewUser:   pool.NewUser{Documents: u.Documents, ID: u.ID, Status: u.Status, UserType: u.UserType},
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, StatusUpdatedAt: u.StatusUpdatedAt,
	}
}

// spread gives the entries of users to their users.
func (d *TenantDump) spread(at map[string]*pool.DumpUser) error {
	lost := func(list string, i int) error {
		return fault.At(fault.Unprocessable, fmt.Sprintf("%s[%d].user_id", list, i), "names no user of this import: a user comes with all entries")
	}
	for i := range d.UserIdentifiers {
		v := &d.UserIdentifiers[i]
		u := at[v.user()]
		if u == nil {
			return lost("user_identifiers", i)
		}
		u.Identifiers = append(u.Identifiers, pool.ImportIdentifier{
			NewUserIdentifier: pool.NewUserIdentifier{Identifier: v.Identifier, Type: v.Type, Metadata: v.Metadata},
			ID:                v.ID, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt,
		})
	}
	for i := range d.UserAddresses {
		v := &d.UserAddresses[i]
		u := at[v.user()]
		if u == nil {
			return lost("user_verifiable_addresses", i)
		}
		u.VerifiableAddresses = append(u.VerifiableAddresses, pool.ImportAddress{
			NewUserVerifiableAddress: pool.NewUserVerifiableAddress{
				Address: v.Address, Type: v.Type, Status: v.Status, PreferredContactMethod: v.PreferredContactMethod,
				Verified: v.Verified, Metadata: v.Metadata,
			},
			ID: v.ID, VerifiedAt: v.VerifiedAt, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt,
		})
	}
	for i := range d.UserCredentials {
		v := &d.UserCredentials[i]
		u := at[v.user()]
		if u == nil {
			return lost("user_credentials", i)
		}
		u.Credentials = append(u.Credentials, pool.ImportCredential{
			NewUserCredential: pool.NewUserCredential{
				Type: v.Type, TOTPSecret: v.Payload.TOTPSecret, WebAuthnCredentials: v.Payload.WebAuthnCredentials,
			},
			HashedPassword: v.Payload.HashedPassword, State: v.State, ExpiresAt: v.ExpiresAt,
			ID: v.ID, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt,
		})
	}
	return nil
}

// apply writes what was checked.
func (p *plan) apply(ctx context.Context) error {
	if err := p.inner.Apply(ctx); err != nil {
		return err
	}
	if p.End != nil {
		for _, who := range p.inner.Ended() {
			if err := p.End(ctx, p.tenant, who.PoolID, who.ID); err != nil {
				return err
			}
		}
	}
	for _, g := range p.groups {
		if err := p.Keeper.Groups.Restore(ctx, p.tenant, g); err != nil {
			return err
		}
	}
	for _, m := range p.members {
		err := p.Keeper.Groups.Add(ctx, p.tenant, m.UserPoolID, m.GroupID, m.UserID)
		if err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	for _, r := range p.codes {
		u, err := p.Keeper.Users.Get(ctx, p.tenant, r.Pool, r.User)
		if err != nil {
			return err
		}
		r.PoolEpoch, r.UserEpoch = u.PoolEpoch, u.Epoch
		if err := p.Codes.Restore(ctx, p.tenant, r); err != nil {
			return err
		}
	}
	return nil
}

// checker checks what refers to users and pools.
type checker struct {
	*plan
	users, pools, groups map[string]bool // of the dump
}

func (p *plan) checker() *checker {
	c := &checker{p, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for i := range p.dump.Users {
		c.users[p.dump.Users[i].UserPoolID+"/"+p.dump.Users[i].ID] = true
	}
	for _, raw := range p.dump.Pools {
		var in pool.Input
		if json.Unmarshal(raw, &in) == nil {
			c.pools[in.ID] = true
		}
	}
	return c
}

// there reports Unprocessable when something that is referred to is neither in
// the dump nor in the tenant.
func there(in bool, member string, look func() error) error {
	if in {
		return nil
	}
	return named(look(), member, "names nothing that is here or in this import")
}

func (c *checker) group(ctx context.Context, g *pool.InternalGroup) error {
	if g.ID == "" || g.Name == "" {
		return fault.At(fault.Unprocessable, "name", "and id are required")
	}
	err := there(c.pools[g.UserPoolID], "user_pool_id", func() error {
		_, err := c.Keeper.Pools.Get(ctx, c.tenant, g.UserPoolID)
		return err
	})
	if err != nil {
		return err
	}
	if above := parent(g); above != "" {
		err := there(c.groups[g.UserPoolID+"/"+above], "path", func() error {
			_, err := c.Keeper.Groups.Get(ctx, c.tenant, g.UserPoolID, above)
			return err
		})
		if err != nil {
			return err
		}
	}
	c.groups[g.UserPoolID+"/"+g.ID] = true
	_, err = c.Keeper.Groups.Get(ctx, c.tenant, g.UserPoolID, g.ID)
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	case err == nil && c.mode == pool.ModeFail:
		return fault.At(fault.Conflict, "id", "is there already")
	case err != nil || c.mode == pool.ModeUpdate:
		c.plan.groups = append(c.plan.groups, *g)
	}
	return nil
}

func (c *checker) user(ctx context.Context, in, id string) error {
	return there(c.users[in+"/"+id], "user_id", func() error {
		_, err := c.Keeper.Users.Get(ctx, c.tenant, in, id)
		return err
	})
}

func (c *checker) member(ctx context.Context, m pool.GroupMember) error {
	err := there(c.groups[m.UserPoolID+"/"+m.GroupID], "group_id", func() error {
		_, err := c.Keeper.Groups.Get(ctx, c.tenant, m.UserPoolID, m.GroupID)
		return err
	})
	if err == nil {
		err = c.user(ctx, m.UserPoolID, m.UserID)
	}
	c.members = append(c.members, m)
	return err
}

func (c *checker) code(ctx context.Context, v *Code) error {
	if c.Codes == nil {
		return fault.New(fault.Unprocessable, "Codes cannot be imported here.", nil)
	}
	if !slices.Contains(code.Types(), v.Type) {
		return fault.At(fault.Unprocessable, "type", "is no type of code")
	}
	hash, err := base64.StdEncoding.DecodeString(v.Code.HashedCode.Value)
	if err != nil || len(hash) == 0 || v.Code.HashedCode.Config.Method != methodHMAC {
		return fault.At(fault.Unprocessable, "code.hashed_code", "is not of this gateway's making: send a new code instead")
	}
	if err := c.user(ctx, v.UserPoolID, v.UserID); err != nil {
		return err
	}
	if c.inner.Skipped[v.user()] {
		return nil
	}
	c.codes = append(c.codes, code.Record{
		ID: v.ID, Pool: v.UserPoolID, User: v.UserID, Type: code.Type(v.Type), Address: v.Address, Hash: hash,
		Metadata: v.Metadata, Data: v.Data, Made: v.IssuedAt, Expires: v.ExpiresAt,
	})
	return nil
}
