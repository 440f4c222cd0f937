package api

import (
	"encoding/json"
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Scopes of the self-service.
const (
	viewSelf   = "view_ss_profile"
	manageSelf = "manage_ss_profile"
)

// selfOperations are those of published API 12, and of 8 to 11 those that people
// do to themselves.
func (a *API) selfOperations() []operation {
	const base = "/:tid/:wid/identity"
	const v1, v2, open = base + "/self", base + "/v2/self", base + "/public"
	all := []operation{
		{id: "getUserProfile", method: http.MethodGet, path: v1 + "/me", ok: http.StatusOK, etag: true, run: selfProfile},
		{id: "updateUserProfile", method: http.MethodPut, path: v1 + "/me", ok: http.StatusOK, etag: true, run: updateSelf},
		{id: "changePassword", method: http.MethodPost, path: v1 + "/change-password", ok: http.StatusNoContent, etag: true, run: changeOwnPassword},

		{id: "getUserProfileV2", method: http.MethodGet, path: v2 + "/me", allow: viewSelf, ok: http.StatusOK, etag: true, run: selfProfileV2},
		{id: "updateUserProfileV2", method: http.MethodPut, path: v2 + "/me", allow: manageSelf, ok: http.StatusOK, etag: true, run: updateSelf},
		{id: "listUserMFASessions", method: http.MethodGet, path: v2 + "/mfa/sessions", allow: viewSelf, ok: http.StatusOK, run: ownMFASessions},
		{id: "deleteMFASession", method: http.MethodDelete, path: v2 + "/mfa/sessions/:mfaSessionID", allow: manageSelf, ok: http.StatusNoContent, run: endOwnMFASession},

		{id: "changePasswordV2", method: http.MethodPost, path: v2 + "/change-password", allow: manageSelf, ok: http.StatusNoContent, etag: true, run: changeOwnPassword},
		{id: "setPassword", method: http.MethodPost, path: v2 + "/set-password", allow: manageSelf, ok: http.StatusNoContent, etag: true, run: fresh(setOwnPassword)},
		{id: "changeTotpSecret", method: http.MethodPost, path: v2 + "/change-totp-secret", allow: manageSelf, ok: http.StatusNoContent, run: changeTOTP},
		{id: "setTotpSecret", method: http.MethodPost, path: v2 + "/set-totp-secret", allow: manageSelf, ok: http.StatusNoContent, run: fresh(setOwnTOTP)},

		{id: "beginWebAuthnCredentialsGeneration", method: http.MethodPost, path: v2 + "/webauthn/create/begin", allow: manageSelf, ok: http.StatusOK, run: fresh(beginPasskey)},
		{id: "completeWebAuthnCredentialsGeneration", method: http.MethodPost, path: v2 + "/webauthn/create/complete", allow: manageSelf, ok: http.StatusOK, run: fresh(completePasskey)},
		{id: "setWebAuthn", method: http.MethodPost, path: v2 + "/set-webauthn", allow: manageSelf, ok: http.StatusNoContent, run: fresh(setOwnPasskey)},
		{id: "nameWebAuthnKey", method: http.MethodPut, path: v2 + "/webauthn/:webAuthnCredentialID/name", allow: manageSelf, ok: http.StatusNoContent, run: namePasskey},
		{id: "deleteWebAuthnKey", method: http.MethodDelete, path: v2 + "/webauthn/:webAuthnCredentialID", allow: manageSelf, ok: http.StatusNoContent, run: deletePasskey},
	}
	for i := range all {
		all[i].family = person
		all[i].once = all[i].method == http.MethodPost
	}
	return append(all,
		operation{
			id: "resetPasswordConfirm", method: http.MethodPost, path: open + "/pools/:ipID/reset-password/confirm", family: public,
			ok: http.StatusNoContent, etag: true, run: publicReset,
		},
		operation{
			id: "completeAddressVerification", method: http.MethodPost, path: v1 + "/address-verification/complete", family: public,
			ok: http.StatusNoContent, etag: true, run: publicVerification,
		},
	)
}

// authorizePerson takes an access token of the workspace of the path that a
// person of an identity pool got. Whatever client got it for them decides by its
// scopes what it may do here.
func (x *call) authorizePerson() error {
	space, err := x.Signin.Live.Space(x.ctx, x.owner, x.param("wid"))
	if err != nil {
		return err
	}
	who, err := x.Signin.Person(x.ctx, space, x.presentation())
	if err != nil {
		return err
	}
	x.acts(who)
	x.fromHere()
	switch {
	case who.User == "" || who.Pool == "":
		return denied("This operation is for people of an identity pool.")
	case x.op.allow != "":
		return x.needScope(x.op.allow)
	}
	return nil
}

// presentation is how the call presents its access token. What a DPoP proof must
// name is made from the base URL: the Host header is the caller's word.
func (x *call) presentation() signin.Presentation {
	p := signin.Presentation{
		Authorization: web.Header(x.c, "Authorization"),
		Request:       signin.Request{Proofs: web.Headers(x.c, "DPoP"), Method: x.visit.Method, URL: x.Base + x.visit.Path},
	}
	if chain := web.Certificates(x.c); len(chain) > 0 {
		p.Certificate = client.CertificateThumbprint(chain[0])
	}
	return p
}

// stranger lets audit events say where a call without a token came from.
func (x *call) stranger() {
	x.acts(signin.Caller{Bearer: &signin.Bearer{}})
	x.fromHere()
}

// fromHere makes tries at secrets count for the caller's network. Those of
// backends do not: theirs says nothing of the person.
func (x *call) fromHere() {
	x.ctx = limit.WithOrigin(x.ctx, limit.Origin{Network: limit.Network(x.visit.ClientIP)})
}

// fresh runs an operation only for a person who has just signed in.
func fresh(run func(*call) (reply, error)) func(*call) (reply, error) {
	return func(x *call) (reply, error) {
		if at := x.caller.Claims.Time("auth_time"); at.IsZero() || x.Now().Sub(at) > x.Signin.Sessions.StepUp {
			e := fault.New(fault.Denied, "The sign-in is too long ago for this: send the person to sign in again with prompt=login.", nil)
			e.Code = "fresh_sign_in_required"
			return reply{}, e
		}
		return run(x)
	}
}

// whose is the user that an operation is about: the one who calls, or that of the
// path.
func (x *call) whose() (poolID, user string) {
	if x.op.family == person {
		return x.caller.Pool, x.caller.User
	}
	return x.param("ipID"), x.param("userID")
}

// me is the person who calls.
func (x *call) me() (pool.User, error) {
	return x.Users.Get(x.ctx, x.owner, x.caller.Pool, x.caller.User)
}

func selfProfile(x *call) (reply, error) {
	u, err := x.me()
	if err != nil {
		return reply{}, err
	}
	v, err := x.Users.Self(x.ctx, &u)
	return reply{body: v, rev: u.Rev}, err
}

func selfProfileV2(x *call) (reply, error) {
	u, err := x.me()
	if err != nil {
		return reply{}, err
	}
	v, err := x.Users.SelfV2(x.ctx, &u)
	return reply{body: v, rev: u.Rev}, err
}

// updateSelf replaces the payload, the one thing that people may write.
func updateSelf(x *call) (reply, error) {
	var in struct {
		Payload json.RawMessage `json:"payload"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Payload == nil {
		return reply{}, fault.At(fault.Unprocessable, "payload", "is required")
	}
	old, err := x.me()
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	u, err := x.Users.Update(x.ctx, x.owner, old.PoolID, old.ID, rev, pool.UpdateUser{Documents: pool.Documents{Payload: in.Payload}})
	if err != nil {
		return reply{}, err
	}
	if x.op.allow == "" {
		v, err := x.Users.Self(x.ctx, &u)
		return reply{body: v, rev: u.Rev}, err
	}
	v, err := x.Users.SelfV2(x.ctx, &u)
	return reply{body: v, rev: u.Rev}, err
}

// changeOwnPassword ends every session and refresh token, the present one
// included, unless the pool keeps the present one.
func changeOwnPassword(x *call) (reply, error) {
	var in passwords
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	if err := in.check(); err != nil {
		return reply{}, err
	}
	return reply{}, x.Signin.ChangePassword(x.ctx, x.owner, signin.Own{
		Pool: x.caller.Pool, User: x.caller.User, Session: x.caller.Session, Grant: x.caller.Claims.String("grant_id"),
	}, in.Old, in.New)
}

func setOwnPassword(x *call) (reply, error) {
	var in struct {
		New string `json:"new_password"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	u, err := x.me()
	if err != nil {
		return reply{}, err
	}
	if u.HasPassword() {
		return reply{}, fault.New(fault.Unprocessable, "There is a password already: change it.", nil)
	}
	return reply{}, x.Users.SetPassword(x.ctx, x.owner, u.PoolID, u.ID, in.New, pool.SetOptions{KeepSessions: true, First: true})
}

func setOwnTOTP(x *call) (reply, error) {
	var in nextTOTP
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	return reply{}, x.Users.SetTOTP(x.ctx, x.owner, x.caller.Pool, x.caller.User, in.Secret, pool.CredentialOptions{First: true, Field: "new_totp_secret"})
}

// setOwnPasskey stores the first passkey. The record may be the one that the
// ceremony has just stored: then there is nothing to do.
func setOwnPasskey(x *call) (reply, error) {
	var in struct {
		Key json.RawMessage `json:"new_webauthn"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	key, err := readPasskey("new_webauthn", in.Key)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Users.AddPasskey(x.ctx, x.owner, x.caller.Pool, x.caller.User, key, pool.CredentialOptions{First: true, Field: "new_webauthn"})
}

func ownMFASessions(x *call) (reply, error) {
	u, err := x.me()
	if err != nil {
		return reply{}, err
	}
	found, err := x.MFASessions.List(x.ctx, &u)
	out := make([]pool.UserMFASession, len(found))
	for i := range found {
		out[i] = found[i].View()
	}
	return list("sessions", out), err
}

func endOwnMFASession(x *call) (reply, error) {
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	u, err := x.me()
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.MFASessions.End(x.ctx, &u, x.param("mfaSessionID"))
}

// publicReset is for pages of the pool's own without a backend: off unless the
// operator switched it on.
func publicReset(x *call) (reply, error) {
	var in reset
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	p, err := x.poolHere(x.param("ipID"))
	if err != nil {
		return reply{}, err
	}
	if !x.Public.ConfirmReset || p.ResetCredentialsSettings.DoNotAllowUsersToSelfResetCredentials {
		return reply{}, denied("People cannot reset their credentials here by themselves.")
	}
	_, err = x.SelfService.ResetPassword(x.ctx, x.owner, p.ID, selfservice.Who{Identifier: in.Identifier}, in.Code, in.Password)
	return reply{}, err
}

// publicVerification takes an extended code; no token says whose address it is.
func publicVerification(x *call) (reply, error) {
	if !x.Public.VerifyAddress {
		return reply{}, denied("People cannot verify addresses here without signing in.")
	}
	var in addressCode
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	space, err := x.Signin.Live.Space(x.ctx, x.owner, x.param("wid"))
	if err != nil {
		return reply{}, err
	}
	for _, p := range space.IDPs {
		if p.IdentityPoolID == "" {
			continue
		}
		_, err = x.SelfService.VerifyAddressByCode(x.ctx, x.owner, p.IdentityPoolID, in.Address, in.Code)
		if !fault.Is(err, fault.Unauthenticated) {
			return reply{}, err
		}
	}
	if err == nil {
		err = fault.New(fault.NotFound, "There is no identity pool here.", nil)
	}
	return reply{}, err
}

// poolHere returns a pool that the workspace of the path has an IDP for.
func (x *call) poolHere(id string) (pool.Pool, error) {
	space, err := x.Signin.Live.Space(x.ctx, x.owner, x.param("wid"))
	if err != nil {
		return pool.Pool{}, err
	}
	for _, p := range space.IDPs {
		if p.IdentityPoolID == id {
			return x.Pools.Get(x.ctx, x.owner, id)
		}
	}
	return pool.Pool{}, fault.New(fault.NotFound, "There is no such identity pool here.", nil)
}
