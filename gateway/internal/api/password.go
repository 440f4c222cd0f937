package api

import (
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// passwordOperations are those of published API 8 for administrators and backends.
func (a *API) passwordOperations() []operation {
	const one = "/pools/:ipID/users/:userID"
	const password = "/pools/:ipID/user/password"
	may := may(role.ManageUserPasswords, onPool)
	return identity([]twin{
		{"", "verifyPasswordV2", http.MethodPost, password + "/v2/verify", may, http.StatusOK, systemTag, verifyPasswordV2},
		{"", "verifyPassword", http.MethodPost, password + "/verify", may, http.StatusOK, systemTag, verifyPassword},
		{"", "changePassword", http.MethodPost, one + "/change-password", may, http.StatusNoContent, systemTag, changePassword},
		{"", "deprecatedChangePassword", http.MethodPost, one + "/change_password", may, http.StatusNoContent, systemTag, changePassword},
		{"setPasswordState", "setPasswordState", http.MethodPut, one + "/password/state", may, http.StatusNoContent, noTag, setPasswordState},
		{"requestResetPassword", "", http.MethodPost, one + "/password/reset/request", may, http.StatusNoContent, noTag, requestFor(code.ResetPassword)},
		{"", "requestResetPassword", http.MethodPost, password + "/reset/request", may, http.StatusNoContent, systemTag, request(code.ResetPassword)},
		{"", "completeResetPassword", http.MethodPost, password + "/reset/complete", may, http.StatusNoContent, systemTag, completeReset},
		{"", "confirmResetPassword", http.MethodPost, password + "/reset/confirm", may, http.StatusNoContent, systemTag, completeReset},
	})
}

// tried is the body of an operation that checks a password.
type tried struct {
	who
	Password string `json:"password"`
}

func (x *call) tryPassword() (pool.Result, error) {
	var in tried
	if err := x.decode(&in); err != nil {
		return pool.Result{}, err
	}
	w := in.person()
	switch {
	case (w.UserID == "") == (w.Identifier == ""):
		return pool.Result{}, fault.At(fault.Unprocessable, "identifier", "give either an identifier or a userID")
	case w.UserID != "":
		return x.Users.CheckPasswordOf(x.ctx, x.owner, x.param("ipID"), limit.KindVerifyPassword, w.UserID, in.Password)
	}
	return x.Users.CheckPassword(x.ctx, x.owner, x.param("ipID"), limit.KindVerifyPassword, w.Identifier, in.Password)
}

// verifyPasswordV2 answers 200 whatever the password is like.
func verifyPasswordV2(x *call) (reply, error) {
	r, err := x.tryPassword()
	return body(struct {
		ID     string       `json:"id"`
		Result pool.Outcome `json:"result"`
		State  string       `json:"state"`
	}{r.User.ID, r.Outcome, r.State}), err
}

// verifyPassword answers 401 when the password does not hold, or is its user's
// no longer.
func verifyPassword(x *call) (reply, error) {
	r, err := x.tryPassword()
	if err == nil && r.Outcome != pool.PasswordCorrect {
		err = fault.New(fault.Unauthenticated, "The person or the password is not right.", nil)
	}
	return body(struct {
		ID    string `json:"id"`
		State string `json:"state"`
	}{r.User.ID, r.State}), err
}

// passwords is the body of a change.
type passwords struct {
	Old string `json:"old_password"`
	New string `json:"new_password"`
}

func (p *passwords) check() error {
	switch "" {
	case p.Old:
		return fault.At(fault.Unprocessable, "old_password", "is required")
	case p.New:
		return fault.At(fault.Unprocessable, "new_password", "is required")
	}
	return nil
}

// changePassword replaces a password and ends what its user is signed in to.
func changePassword(x *call) (reply, error) {
	var in passwords
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	if err := in.check(); err != nil {
		return reply{}, err
	}
	err := x.Users.ChangePassword(x.ctx, x.owner, x.param("ipID"), x.param("userID"), in.Old, in.New, pool.SetOptions{})
	if err == nil {
		err = x.Signin.EndUser(x.ctx, x.owner, x.param("ipID"), x.param("userID"))
	}
	return reply{}, err
}

func setPasswordState(x *call) (reply, error) {
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	var in struct {
		State string `json:"state"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	u, err := x.user()
	if err != nil {
		return reply{}, err
	}
	if err := x.coversRoles(&u); err != nil {
		return reply{}, err
	}
	return reply{}, x.Users.SetPasswordState(x.ctx, x.owner, u.PoolID, u.ID, in.State)
}

// reset is the body of what ends a password reset.
type reset struct {
	selfservice.Who
	Code     string `json:"code"`
	Password string `json:"new_password"`
}

func completeReset(x *call) (reply, error) {
	var in reset
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	_, err := x.SelfService.ResetPassword(x.ctx, x.owner, x.param("ipID"), in.Who, in.Code, in.Password)
	return reply{}, err
}
