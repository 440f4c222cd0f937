package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// registrationOperations are those of published API 6 that register and
// activate.
func (a *API) registrationOperations() []operation {
	const one = "/pools/:ipID/users/:userID"
	const person = "/pools/:ipID/user"
	invite := may(role.SendUserActivation, onPool)
	return identity([]twin{
		{"sendActivationMessage", "selfSendActivationMessage", http.MethodPost, one + "/activation/send", invite, http.StatusNoContent, systemTag, sendActivation},
		{"", "selfRegisterUser", http.MethodPost, person + "/register", invite, http.StatusCreated, systemTag, selfRegister},
		{"", "activateSelfRegisteredUser", http.MethodPost, one + "/activate", invite, http.StatusCreated, systemTag, activate},
		{"", "activateSelfRegisteredUserUsingExtendedCode", http.MethodPost, person + "/activate", invite, http.StatusCreated, systemTag, activate},
	})
}

// sendActivation sends an activation message: for an administrator it says why
// it cannot, for a backend it never does.
func sendActivation(x *call) (reply, error) {
	var in selfservice.Who
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	d, err := x.delivery()
	if err != nil {
		return reply{}, err
	}
	id := x.param("userID")
	if in.Address == "" {
		in.Address = in.Identifier
	}
	if !x.op.roles() {
		to := selfservice.Who{UserID: id, Address: in.Address}
		return reply{}, x.SelfService.Request(x.ctx, x.owner, x.param("ipID"), code.Activation, to, d)
	}
	u, err := x.user()
	if err != nil {
		return reply{}, err
	}
	if err := x.coversRoles(&u); err != nil {
		return reply{}, err
	}
	return reply{}, x.SelfService.RequestFor(x.ctx, x.owner, u.PoolID, id, code.Activation, in.Address, d)
}

func selfRegister(x *call) (reply, error) {
	var in struct {
		Identifier string            `json:"identifier"`
		Address    string            `json:"otp_address"`
		Password   string            `json:"password"`
		Payload    json.RawMessage   `json:"payload"`
		TOTPSecret string            `json:"totp_secret"`
		Passkeys   []json.RawMessage `json:"webauthn_credentials"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	d, err := x.delivery()
	if err != nil {
		return reply{}, err
	}
	send, err := x.choice("send_activation_message")
	if err != nil {
		return reply{}, err
	}
	keys, err := readPasskeys("webauthn_credentials", in.Passkeys)
	if err != nil {
		return reply{}, err
	}
	made, err := x.SelfService.Register(x.ctx, x.owner, x.param("ipID"), pool.Registration{
		Identifier: in.Identifier, Address: in.Address, Payload: in.Payload, Password: in.Password, TOTPSecret: in.TOTPSecret, Passkeys: keys,
	}, send == nil || *send, d)
	return body(proven{made.ID}), err
}

// readPasskeys reads credential records (published API 2).
func readPasskeys(field string, list []json.RawMessage) ([]credential.Passkey, error) {
	keys := make([]credential.Passkey, len(list))
	for i, raw := range list {
		key, err := credential.ParsePasskey(raw)
		if err != nil {
			e := *fault.Read(err)
			e.Field = fmt.Sprintf("%s[%d]", field, i)
			return nil, &e
		}
		keys[i] = key
	}
	return keys, nil
}

// activate makes a new user active by a code: of the user of the path, or whom
// the extended code names.
func activate(x *call) (reply, error) {
	var in struct {
		Code       string            `json:"code"`
		Address    string            `json:"otp_address"`
		Password   string            `json:"password"`
		TOTPSecret string            `json:"totp_secret"`
		Passkeys   []json.RawMessage `json:"webauthn"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Code == "" {
		return reply{}, fault.At(fault.Unprocessable, "code", "is required")
	}
	keys, err := readPasskeys("webauthn", in.Passkeys)
	if err != nil {
		return reply{}, err
	}
	a := selfservice.Activation{
		Code: in.Code, Who: selfservice.Who{UserID: x.param("userID")}, Kind: limit.KindActivateSelfRegistered, Trusted: true,
		Activation: pool.Activation{Address: in.Address, Password: in.Password, TOTPSecret: in.TOTPSecret, Passkeys: keys},
	}
	if a.Who.UserID == "" {
		a.Kind = limit.KindActivateWithExtendedCode
		if _, _, ok := code.Split(in.Code); !ok {
			return reply{}, code.ErrWrong
		}
	} else if _, err := x.user(); err != nil {
		return reply{}, err
	}
	done, err := x.SelfService.Activate(x.ctx, x.owner, x.param("ipID"), a)
	return shown(&done.User), err
}
