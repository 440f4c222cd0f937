package api

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// scopeRegistration is what a backend needs that delivers codes itself.
const scopeRegistration = "identity_self_registration"

// codeOperations are those of published API 7 and 9, and of 6 those that hand a
// code to the caller.
func (a *API) codeOperations() []operation {
	const person = "/pools/:ipID/user"
	const one = "/pools/:ipID/users/:userID"
	otp, verify := may(role.ManageUserOTPs, onPool), may(role.SendUserVerification, onPool)
	all := identity([]twin{
		{"requestOTPChallenge", "", http.MethodPost, one + "/otp/request", otp, http.StatusNoContent, noTag, requestFor(code.Challenge)},
		{"verifyOTP", "", http.MethodPost, one + "/otp/verify", otp, http.StatusOK, noTag, verifyOTPOf},
		{"", "requestOTPChallenge", http.MethodPost, person + "/otp/request", otp, http.StatusNoContent, systemTag, request(code.Challenge)},
		{"", "verifyOTP", http.MethodPost, person + "/otp/verify", otp, http.StatusOK, systemTag, verifyCode(code.Challenge)},
		{"", "verifyAuthenticationCode", http.MethodPost, person + "/authentication-code/verify", otp, http.StatusOK, systemTag, verifyCode(code.Authentication)},
		{"", "inspectOTP", http.MethodPost, person + "/otp/inspect", otp, http.StatusOK, systemTag, inspectOTP},

		{"requestAddressVerification", "requestAddressVerification", http.MethodPost, one + "/address/verification/request", verify, http.StatusNoContent, systemTag, requestVerification},
		{"", "completeAddressVerification", http.MethodPost, one + "/address/verification/complete", verify, http.StatusNoContent, systemTag, completeVerification},

		{"", "generateActivationCode", http.MethodPost, one + "/activation/generate", otp, http.StatusCreated, systemTag, generateActivation},
		{"", "generateCode", http.MethodPost, one + "/code/generate", otp, http.StatusCreated, systemTag, generateCodeOf},
		{"", "generateCodeForUser", http.MethodPost, person + "/code/generate", otp, http.StatusCreated, systemTag, generateCode},
	})
	scoped(all, scopeRegistration, "generateActivationCode", "generateCode", "generateCodeForUser")
	return append(all, operation{
		id: "systemGenerateCode", method: http.MethodPost, path: "/api/identity/system/code/generate", family: rootSystem,
		allow: scopeRegistration, ok: http.StatusCreated, once: true, run: rootGenerateCode,
	})
}

// scoped makes backends need another scope for some operations.
func scoped(all []operation, scope string, ids ...string) {
	for i := range all {
		if all[i].family == system && slices.Contains(ids, all[i].id) {
			all[i].allow = scope
		}
	}
}

// delivery reads how a code is to travel.
func (x *call) delivery() (selfservice.Delivery, error) {
	q, err := x.query()
	if err != nil {
		return selfservice.Delivery{}, err
	}
	d := selfservice.Delivery{Operator: true, Link: true, Workspace: q.Get("server_id"), Next: q.Get("post_activation_url")}
	for _, c := range []struct {
		name, other string
		first       string
		set         *bool
		to          bool
	}{
		{"code_type_in_message", "code", "link", &d.Link, false},
		{"mode", "invitation", "registration", &d.Invitation, true},
	} {
		switch q.Get(c.name) {
		case "", c.first:
		case c.other:
			*c.set = c.to
		default:
			return d, fault.At(fault.Invalid, c.name, "must be "+c.first+" or "+c.other)
		}
	}
	if d.Workspace != "" {
		if _, err := x.inside(x.mine(), d.Workspace); err != nil {
			return d, missing(err, "server_id", "names no workspace")
		}
	}
	return d, nil
}

// who is a person as bodies name them. Some bodies call the user's id "id".
type who struct {
	selfservice.Who
	ID string `json:"id"`
}

func (w *who) person() selfservice.Who {
	if w.UserID == "" {
		w.UserID = w.ID
	}
	return w.Who
}

// request sends a code without telling whether there is such a person.
func request(t code.Type) func(*call) (reply, error) {
	return func(x *call) (reply, error) {
		var in who
		if err := x.decode(&in); err != nil {
			return reply{}, err
		}
		d, err := x.delivery()
		if err != nil {
			return reply{}, err
		}
		if t == code.Challenge {
			d.Link = false
		}
		return reply{}, x.SelfService.Request(x.ctx, x.owner, x.param("ipID"), t, in.person(), d)
	}
}

// requestFor sends a code to an address of the user of the path, for an
// administrator.
func requestFor(t code.Type) func(*call) (reply, error) {
	return func(x *call) (reply, error) {
		var in struct {
			Address string `json:"address"`
		}
		if err := x.decode(&in); err != nil {
			return reply{}, err
		}
		if in.Address == "" {
			return reply{}, fault.At(fault.Unprocessable, "address", "is required")
		}
		u, err := x.user()
		if err != nil {
			return reply{}, err
		}
		if err := x.coversRoles(&u); err != nil {
			return reply{}, err
		}
		d, err := x.delivery()
		if err != nil {
			return reply{}, err
		}
		return reply{}, x.SelfService.RequestFor(x.ctx, x.owner, u.PoolID, u.ID, t, in.Address, d)
	}
}

// proven is the answer to a code that was right.
type proven struct {
	ID string `json:"id"`
}

func verifyCode(t code.Type) func(*call) (reply, error) {
	return func(x *call) (reply, error) {
		var in struct {
			who
			Code string `json:"code"`
		}
		if err := x.decode(&in); err != nil {
			return reply{}, err
		}
		u, _, err := x.SelfService.Verify(x.ctx, x.owner, x.param("ipID"), t, in.person(), in.Code)
		return body(proven{u.ID}), err
	}
}

func verifyOTPOf(x *call) (reply, error) {
	var in struct {
		Code string `json:"code"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	if _, err := x.user(); err != nil {
		return reply{}, err
	}
	u, _, err := x.SelfService.Verify(x.ctx, x.owner, x.param("ipID"), code.Challenge, selfservice.Who{UserID: x.param("userID")}, in.Code)
	return body(proven{u.ID}), err
}

func inspectOTP(x *call) (reply, error) {
	var in struct {
		Code string `json:"code"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	seen, err := x.SelfService.Inspect(x.ctx, x.owner, x.param("ipID"), selfservice.Who{}, in.Code)
	return body(struct {
		Type        code.Type `json:"code_type"`
		PasswordSet bool      `json:"password_set"`
		UserID      string    `json:"user_id"`
	}{seen.Code.Type, seen.PasswordSet, seen.User.ID}), err
}

// requestVerification sends a link for an administrator, a code for a backend.
func requestVerification(x *call) (reply, error) {
	if x.op.roles() {
		return requestFor(code.VerifyAddress)(x)
	}
	var in struct {
		Address string `json:"address"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	to := selfservice.Who{UserID: x.param("userID"), Address: in.Address}
	return reply{}, x.SelfService.Request(x.ctx, x.owner, x.param("ipID"), code.VerifyAddress, to, selfservice.Delivery{Operator: true})
}

// addressCode is the body of what ends an address verification.
type addressCode struct {
	Address string `json:"address"`
	Code    string `json:"code"`
}

func completeVerification(x *call) (reply, error) {
	var in addressCode
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	return reply{}, x.SelfService.VerifyAddress(x.ctx, x.owner, x.param("ipID"), x.param("userID"), in.Address, in.Code)
}

// newCode is the body of an operation that hands a code to the caller.
type newCode struct {
	selfservice.Who
	Type     string          `json:"type"`
	Metadata json.RawMessage `json:"metadata"`
}

// generated is a code that the caller delivers.
type generated struct {
	Code     string `json:"code"`
	Extended string `json:"extended_code"`
}

func (x *call) generate(tenant, poolID string, in newCode) (reply, error) {
	if err := record.OneOf("type", in.Type, code.Types()); err != nil {
		return reply{}, err
	}
	if err := record.Object("metadata", &in.Metadata); err != nil {
		return reply{}, err
	}
	made, err := x.SelfService.Generate(x.ctx, tenant, poolID, code.Type(in.Type), in.Who, in.Metadata)
	return body(generated{made.Code, made.Extended}), err
}

func generateCode(x *call) (reply, error) {
	var in newCode
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	return x.generate(x.owner, x.param("ipID"), in)
}

func generateCodeOf(x *call) (reply, error) {
	var in newCode
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	in.UserID, in.Identifier = x.param("userID"), ""
	return x.generate(x.owner, x.param("ipID"), in)
}

// generateActivation makes an activation code and tells its id alone.
func generateActivation(x *call) (reply, error) {
	var in selfservice.Who
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	in.UserID, in.Identifier = x.param("userID"), ""
	made, err := x.SelfService.Generate(x.ctx, x.owner, x.param("ipID"), code.Activation, in, nil)
	return body(struct {
		ID string `json:"code_id"`
	}{made.ID}), err
}

// rootGenerateCode is generateCode in any tenant.
func rootGenerateCode(x *call) (reply, error) {
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	var in newCode
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	for _, name := range []string{"tenantID", "ipID"} {
		if q.Get(name) == "" {
			return reply{}, fault.At(fault.Invalid, name, "is required")
		}
	}
	if id := q.Get("userID"); id != "" {
		in.UserID, in.Identifier = id, ""
	}
	return x.generate(q.Get("tenantID"), q.Get("ipID"), in)
}
