package api

import (
	"encoding/json"
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// factorOperations are those of published API 10 and 11 for backends.
func (a *API) factorOperations() []operation {
	const one = "/pools/:ipID/users/:userID"
	const person = "/pools/:ipID/user"
	may := may(role.ManageIdentityPoolUsers, onPool)
	return identity([]twin{
		{"", "requestResetTotp", http.MethodPost, person + "/totp/reset/request", may, http.StatusNoContent, noTag, request(code.ResetTOTP)},
		{"", "completeResetTotp", http.MethodPost, person + "/totp/reset/complete", may, http.StatusNoContent, noTag, completeTOTP},
		{"", "changeTotpSecret", http.MethodPost, one + "/totp/change", may, http.StatusNoContent, noTag, changeTOTP},

		{"", "beginWebAuthnCredentialsGeneration", http.MethodPost, one + "/webauthn/create/begin", may, http.StatusOK, noTag, beginPasskey},
		{"", "completeWebAuthnCredentialsGeneration", http.MethodPost, one + "/webauthn/create/complete", may, http.StatusOK, noTag, completePasskey},
		{"", "requestAddWebAuthn", http.MethodPost, person + "/webauthn/add/request", may, http.StatusNoContent, noTag, request(code.EnrollWebAuthn)},
		{"", "completeAddWebAuthn", http.MethodPost, person + "/webauthn/add/complete", may, http.StatusNoContent, noTag, addPasskey},
		{"", "nameWebAuthnKey", http.MethodPut, one + "/webauthn/:webAuthnCredentialID/name", may, http.StatusNoContent, noTag, namePasskey},
		{"", "deleteWebAuthnKey", http.MethodDelete, one + "/webauthn/:webAuthnCredentialID", may, http.StatusNoContent, noTag, deletePasskey},
	})
}

func completeTOTP(x *call) (reply, error) {
	var in struct {
		selfservice.Who
		Code   string `json:"code"`
		Secret string `json:"new_totp_secret"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	_, err := x.SelfService.ResetTOTP(x.ctx, x.owner, x.param("ipID"), in.Who, in.Code, in.Secret)
	return reply{}, err
}

// nextTOTP is the body of a change of the authenticator app.
type nextTOTP struct {
	Secret string `json:"new_totp_secret"`
	Code   string `json:"totp"` // of the old secret
}

func changeTOTP(x *call) (reply, error) {
	var in nextTOTP
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	poolID, user := x.whose()
	return reply{}, x.SelfService.ChangeTOTP(x.ctx, x.owner, poolID, user, in.Code, in.Secret)
}

func beginPasskey(x *call) (reply, error) {
	poolID, user := x.whose()
	options, err := x.SelfService.BeginPasskey(x.ctx, x.owner, poolID, user)
	return body(options), err
}

// madePasskeys is WebAuthnCredentials of the published API.
type madePasskeys struct {
	Credentials []credential.Record `json:"credentials"`
}

func completePasskey(x *call) (reply, error) {
	var raw json.RawMessage
	if err := x.decode(&raw); err != nil {
		return reply{}, err
	}
	poolID, user := x.whose()
	made, err := x.SelfService.FinishPasskey(x.ctx, x.owner, poolID, user, raw)
	return body(madePasskeys{[]credential.Record{made.Record()}}), err
}

func addPasskey(x *call) (reply, error) {
	var in struct {
		selfservice.Who
		Code string          `json:"code"`
		Key  json.RawMessage `json:"new_web_authn"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	key, err := readPasskey("new_web_authn", in.Key)
	if err != nil {
		return reply{}, err
	}
	_, err = x.SelfService.AddPasskey(x.ctx, x.owner, x.param("ipID"), in.Who, in.Code, key)
	return reply{}, err
}

func readPasskey(field string, raw json.RawMessage) (credential.Passkey, error) {
	if len(raw) == 0 {
		return credential.Passkey{}, fault.At(fault.Unprocessable, field, "is required")
	}
	key, err := credential.ParsePasskey(raw)
	if err != nil {
		e := *fault.Read(err)
		e.Field = field
		return key, &e
	}
	return key, nil
}

func namePasskey(x *call) (reply, error) {
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	var in struct {
		Name string `json:"name"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Name == "" {
		return reply{}, fault.At(fault.Unprocessable, "name", "is required")
	}
	poolID, user := x.whose()
	return reply{}, x.Users.NamePasskey(x.ctx, x.owner, poolID, user, x.param("webAuthnCredentialID"), in.Name)
}

// deletePasskey removes a passkey. People keep their last one.
func deletePasskey(x *call) (reply, error) {
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	poolID, user := x.whose()
	return reply{}, x.Users.RemovePasskey(x.ctx, x.owner, poolID, user, x.param("webAuthnCredentialID"), x.op.family == person)
}
