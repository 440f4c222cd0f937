package promote

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// ImportAll writes a dump whose entries name their tenants. All tenants' parts
// are checked before the first is written.
func (x *Identity) ImportAll(ctx context.Context, d *TenantDump, m pool.Mode) error {
	parts, order, err := d.byTenant()
	if err != nil {
		return err
	}
	if len(d.Users) > MostImported {
		return fault.At(fault.Unprocessable, "users", fmt.Sprintf("are more than %d: send them in several imports, or by `gatepost users import`", MostImported))
	}
	plans := make([]*plan, len(order))
	for i, tenant := range order {
		if plans[i], err = x.plan(ctx, tenant, parts[tenant], m); err != nil {
			return err
		}
	}
	for _, p := range plans {
		if err := p.apply(ctx); err != nil {
			return err
		}
	}
	return nil
}

// byTenant takes a dump apart.
func (d *TenantDump) byTenant() (parts map[string]*TenantDump, order []string, err error) {
	parts = map[string]*TenantDump{}
	of := func(list string, i int, tenant string) *TenantDump {
		if tenant == "" && err == nil {
			err = fault.At(fault.Unprocessable, fmt.Sprintf("%s[%d].tenant_id", list, i), "is required")
		}
		if parts[tenant] == nil {
			parts[tenant], order = &TenantDump{}, append(order, tenant)
		}
		return parts[tenant]
	}
	for i, v := range d.Schemas {
		p := of("schemas", i, v.TenantID)
		p.Schemas = append(p.Schemas, v)
	}
	for i, v := range d.Pools {
		p := of("pools", i, ownerOf(v))
		p.Pools = append(p.Pools, v)
	}
	for i, v := range d.Users {
		p := of("users", i, v.TenantID)
		p.Users = append(p.Users, v)
	}
	for i, v := range d.UserIdentifiers {
		p := of("user_identifiers", i, v.TenantID)
		p.UserIdentifiers = append(p.UserIdentifiers, v)
	}
	for i, v := range d.UserAddresses {
		p := of("user_verifiable_addresses", i, v.TenantID)
		p.UserAddresses = append(p.UserAddresses, v)
	}
	for i, v := range d.UserCredentials {
		p := of("user_credentials", i, v.TenantID)
		p.UserCredentials = append(p.UserCredentials, v)
	}
	for i, v := range d.Groups {
		p := of("groups", i, v.TenantID)
		p.Groups = append(p.Groups, v)
	}
	for i, v := range d.GroupMembers {
		p := of("group_members", i, v.TenantID)
		p.GroupMembers = append(p.GroupMembers, v)
	}
	for i, v := range d.Codes {
		p := of("codes", i, v.TenantID)
		p.Codes = append(p.Codes, v)
	}
	return parts, order, err
}

// ownerOf is the tenant that a pool in JSON names.
func ownerOf(raw json.RawMessage) string {
	var p struct {
		TenantID string `json:"tenant_id"`
	}
	_ = json.Unmarshal(raw, &p) // what is no pool is told by the plan
	return p.TenantID
}
