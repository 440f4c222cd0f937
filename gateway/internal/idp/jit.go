package idp

import (
	"fmt"
	"strings"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

const maxJIT = 64 << 10 // bytes

// JIT says how people who come by an IDP become users of a pool (published API
// 16.2, JITSettings).
type JIT struct {
	Enabled      bool         `json:"enabled"`
	Provisioning Provisioning `json:"provisioning"`
}

// Provisioning names the pool and what of a person goes into it. The values of
// the two modes are in no published list: they are stored and given back.
type Provisioning struct {
	AdminRoleType   string  `json:"admin_role_type"`
	IdentifierSalt  string  `json:"identifier_salt"`
	Mode            string  `json:"mode"`
	PoolID          string  `json:"pool_id"`
	PreProvisioning any     `json:"pre_provisioning"`
	User            JITUser `json:"user"`
}

// JITUser says where a user's identifiers, addresses and payload come from:
// paths of the authentication context.
type JITUser struct {
	Identifiers       []JITIdentifier `json:"identifiers"`
	Addresses         []JITAddress    `json:"addresses"`
	AttributesMapping []JITMapping    `json:"attributes_mapping"`
}

// JITIdentifier takes an identifier of a type from a path.
type JITIdentifier struct {
	Source string `json:"source"`
	Type   string `json:"type"`
}

// JITAddress takes an address of a type from a path.
type JITAddress struct {
	Source           string `json:"source"`
	Type             string `json:"type"`
	VerificationMode string `json:"verification_mode"`
}

// JITMapping is a mapping into the payload, made at creation and, if it says
// so, at every sign-in.
type JITMapping struct {
	authctx.Mapping

	UpdateOnSignIn bool `json:"update_on_sign_in"`
}

// Provisioned returns the just-in-time provisioning of the IDP. The error is
// Unprocessable and names the member that is of a wrong type.
func (p *IDP) Provisioned() (JIT, error) {
	var j JIT
	if len(p.JIT) == 0 {
		return j, nil
	}
	if err := record.Decode(p.JIT, &j); err != nil {
		e := fault.Read(err)
		field := strings.TrimSuffix("jit."+e.Field, ".")
		return j, &fault.Error{Kind: fault.Unprocessable, Field: field, Public: e.Public, Cause: err}
	}
	return j, nil
}

func (p *IDP) checkJIT() error {
	if len(p.JIT) > maxJIT {
		return fault.At(fault.Unprocessable, "jit", fmt.Sprintf("must have at most %d bytes", maxJIT))
	}
	j, err := p.Provisioned()
	if err != nil {
		return err
	}
	v := &j.Provisioning
	if v.PoolID != "" {
		if err := record.ID("jit.provisioning.pool_id", v.PoolID); err != nil {
			return err
		}
	} else if j.Enabled && p.Method != IdentityPool {
		return fault.At(fault.Unprocessable, "jit.provisioning.pool_id", "is required: it names the pool that people are copied into")
	}
	if v.AdminRoleType != "" {
		if err := record.OneOf("jit.provisioning.admin_role_type", v.AdminRoleType, []string{"admin", "business_admin", "auditor", "member"}); err != nil {
			return err
		}
	}
	return v.User.check("jit.provisioning.user.")
}

func (u *JITUser) check(at string) error {
	for i, id := range u.Identifiers {
		if id.Source == "" || id.Type == "" {
			return fault.At(fault.Unprocessable, fmt.Sprintf("%sidentifiers[%d]", at, i), "needs a source and a type")
		}
	}
	for i, a := range u.Addresses {
		if a.Source == "" || (a.Type != Email && a.Type != Mobile) {
			return fault.At(fault.Unprocessable, fmt.Sprintf("%saddresses[%d]", at, i), `needs a source and the type "email" or "mobile"`)
		}
	}
	ms := make([]authctx.Mapping, len(u.AttributesMapping))
	for i, m := range u.AttributesMapping {
		ms[i] = m.Mapping
	}
	if ps := authctx.CheckMappings(ms); len(ps) > 0 {
		return fault.At(fault.Unprocessable, at+"attributes_mapping"+ps[0].Field, ps[0].Say)
	}
	return nil
}
