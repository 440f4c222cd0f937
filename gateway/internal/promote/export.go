package promote

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

const (
	// MostExported is the most users of an export of a tenant. More are moved row by
	// row (Users).
	MostExported = 10_000
	// MostImported is the most users of one import (published API 14).
	MostImported = 100

	pageSize = 200
)

// Identity exports, imports and patches what of a tenant belongs to identity.
// Codes may be nil: then there are none.
type Identity struct {
	Keeper *pool.Keeper
	Codes  *code.Keeper
	// Workspace reports NotFound for a workspace that a pool cannot belong to; nil:
	// any may be named.
	Workspace func(ctx context.Context, tenant, id string) error
	// End ends what a user is signed in to, whose password or status an import
	// changed; Delete removes one whom a patch removes. nil: what the keeper does.
	End    func(ctx context.Context, tenant, pool, user string) error
	Delete func(ctx context.Context, tenant, pool, user string, rev int64) error
}

// Export returns the dump of a tenant. Unprocessable when it has more users than
// MostExported.
func (x *Identity) Export(ctx context.Context, tenant string) (*TenantDump, error) {
	d := &TenantDump{
		Pools: []json.RawMessage{}, Users: []User{}, UserIdentifiers: []Identifier{}, UserAddresses: []Address{}, UserCredentials: []Credential{},
		Groups: []pool.InternalGroup{}, GroupMembers: []pool.GroupMember{}, Codes: []Code{}, userRevs: map[string]int64{},
	}
	var err error
	if d.Schemas, err = x.Keeper.Schemas.List(ctx, tenant); err != nil {
		return nil, err
	}
	pools, err := x.pools(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for i := range pools {
		if err := x.exportPool(ctx, d, &pools[i]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// pools returns all pools of a tenant.
func (x *Identity) pools(ctx context.Context, tenant string) ([]pool.Pool, error) {
	var all []pool.Pool
	page := store.Page{Limit: pageSize}
	for {
		found, err := x.Keeper.Pools.List(ctx, tenant, pool.Filter{Page: page})
		if err != nil {
			return nil, err
		}
		for i := range found {
			all = append(all, found[i].Pool)
		}
		if len(found) < pageSize {
			return all, nil
		}
		page.After = found[len(found)-1].ID
	}
}

func (x *Identity) exportPool(ctx context.Context, d *TenantDump, p *pool.Pool) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	d.Pools = append(d.Pools, raw)
	page := store.Page{Limit: pageSize}
	for {
		found, err := x.Keeper.Users.List(ctx, p.TenantID, p.ID, pool.Query{}, page)
		if err != nil {
			return err
		}
		if len(d.Users)+len(found) > MostExported {
			return fault.New(fault.Unprocessable, fmt.Sprintf("The tenant has more than %d users: `gatepost users export` writes as many as there are.", MostExported), nil)
		}
		for i := range found {
			if err := x.exportUser(d, &found[i]); err != nil {
				return err
			}
		}
		if len(found) < pageSize {
			break
		}
		page.After = found[len(found)-1].ID
	}
	groups, err := x.Keeper.Groups.Dump(ctx, p.TenantID, p.ID)
	if err != nil {
		return err
	}
	d.Groups = append(d.Groups, groups...)
	err = x.Keeper.Groups.DumpMembers(ctx, p.TenantID, p.ID, func(m pool.GroupMember) bool {
		d.GroupMembers = append(d.GroupMembers, m)
		return true
	})
	if err != nil {
		return err
	}
	return x.exportCodes(ctx, d, p)
}

func (x *Identity) exportUser(d *TenantDump, u *pool.User) error {
	d.userRevs[u.PoolID+"/"+u.ID] = u.Rev
	out := User{
		ID: u.ID, TenantID: u.TenantID, UserPoolID: u.PoolID, Status: u.Status,
		times: times{u.CreatedAt, u.UpdatedAt}, StatusUpdatedAt: u.StatusUpdatedAt,
		Documents: pool.Documents{
			Payload: u.Payload, PayloadSchemaID: u.PayloadSchemaID, Metadata: u.Metadata, MetadataSchemaID: u.MetadataSchemaID,
			BusinessMetadata: u.BusinessMetadata, BusinessMetadataSchemaID: u.BusinessMetadataSchemaID,
		},
	}
	if u.UserType != "" {
		out.UserType = u.UserType
	}
	d.Users = append(d.Users, out)
	owner := of{u.TenantID, u.PoolID, u.ID}
	for i := range u.Identifiers {
		v := &u.Identifiers[i]
		d.UserIdentifiers = append(d.UserIdentifiers, Identifier{
			ID: v.ID, of: owner, Identifier: v.Value, IdentifierLC: strings.ToLower(v.Value), Type: v.Type, Metadata: v.Metadata,
			times: times{v.CreatedAt, v.UpdatedAt},
		})
	}
	for i := range u.Addresses {
		v := &u.Addresses[i]
		d.UserAddresses = append(d.UserAddresses, Address{
			ID: v.ID, of: owner, Address: v.Value, AddressLC: strings.ToLower(v.Value), Type: v.Type, Status: v.Status,
			PreferredContactMethod: v.PreferredContactMethod, Verified: v.Verified, VerifiedAt: v.VerifiedAt, Metadata: v.Metadata,
			times: times{v.CreatedAt, v.UpdatedAt},
		})
	}
	secrets, err := x.Keeper.Users.Secrets(u)
	if err != nil {
		return err
	}
	for i := range secrets {
		c, err := dumped(owner, &secrets[i])
		if err != nil {
			return err
		}
		d.UserCredentials = append(d.UserCredentials, c)
	}
	return nil
}

// dumped is a credential in the published form.
func dumped(owner of, c *pool.ExportCredential) (Credential, error) {
	out := Credential{
		ID: c.ID, of: owner, Type: c.Type, State: c.State, ExpiresAt: c.ExpiresAt, times: times{c.CreatedAt, c.UpdatedAt},
		Payload: Payload{TOTPSecret: c.TOTPSecret},
	}
	if c.HashedPassword != "" {
		h, err := credential.ParseStored(c.HashedPassword)
		if err != nil {
			return out, fmt.Errorf("user %s: %w", owner.UserID, err)
		}
		if out.Payload.HashedPassword, err = json.Marshal(h); err != nil {
			return out, err
		}
	}
	for i := range c.WebAuthnCredentials {
		raw, err := json.Marshal(&c.WebAuthnCredentials[i])
		if err != nil {
			return out, err
		}
		out.Payload.WebAuthnCredentials = append(out.Payload.WebAuthnCredentials, raw)
	}
	return out, nil
}

// exportCodes adds the live codes of a pool's users.
func (x *Identity) exportCodes(ctx context.Context, d *TenantDump, p *pool.Pool) error {
	if x.Codes == nil {
		return nil
	}
	addresses := map[string]string{}
	for i := range d.UserAddresses {
		a := &d.UserAddresses[i]
		addresses[a.user()+"/"+a.Address] = a.ID
	}
	return x.Codes.All(ctx, p.TenantID, p.Epoch, func(r code.Record) bool {
		if _, there := d.userRevs[p.ID+"/"+r.User]; !there {
			return true
		}
		owner := of{p.TenantID, p.ID, r.User}
		d.Codes = append(d.Codes, Code{
			ID: r.ID, of: owner, Type: string(r.Type), Metadata: r.Metadata, Data: r.Data,
			Code: CodeValue{credential.Hash{
				Value: base64.StdEncoding.EncodeToString(r.Hash), Config: credential.HashConfig{Method: methodHMAC},
			}},
			Address: r.Address, AddressID: addresses[owner.user()+"/"+r.Address],
			CreatedAt: r.Made, IssuedAt: r.Made, ExpiresAt: r.Expires,
		})
		return true
	})
}
