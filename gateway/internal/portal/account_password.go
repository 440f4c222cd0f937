package portal

import (
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// password changes the password by the old one, or sets the first one after a
// fresh sign-in.
func (x *own) password() error {
	if !x.pooled() || !x.offers(pool.MechanismPassword) {
		return nothing()
	}
	if errs := repeated(x.form); errs != nil {
		return x.show(http.StatusUnprocessableEntity, errs)
	}
	if x.user.HasPassword() {
		return x.changePassword()
	}
	if x.stale() {
		return x.tooOld()
	}
	err := x.p.Signin.Users.SetPassword(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID, x.form.Get("password"), pool.SetOptions{
		KeepSessions: true, First: true, Field: "password",
	})
	if err != nil {
		return x.again(err, "password")
	}
	return x.done(passwordSet)
}

// changePassword ends the person's sessions, and this one too unless the pool
// keeps it: then the account page asks for a sign-in.
func (x *own) changePassword() error {
	me := signin.Own{Pool: x.owner.ID, User: x.user.ID, Session: x.current.ID}
	err := x.p.Signin.ChangePassword(x.ctx, x.space.Tenant, me, x.form.Get("old_password"), x.form.Get("password"))
	if fault.Is(err, fault.Unauthenticated) {
		err = fault.At(fault.Unauthenticated, "old_password", "This is not your current password.")
	}
	if err != nil {
		return x.again(renamed(err, "new_password", "password"), "old_password", "password")
	}
	if x.owner.PasswordSettings.KeepCurrentSession {
		return x.done(passwordChanged)
	}
	return web.SeeOther(x.c, x.at(""))
}
