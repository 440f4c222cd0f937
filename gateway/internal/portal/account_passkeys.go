package portal

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// mayAdd tells whether the person may make a passkey now.
func (x *own) mayAdd() error {
	if !x.pooled() || !x.takesPasskeys() {
		return nothing()
	}
	if x.stale() {
		e := fault.New(fault.Denied, "Your sign-in is too long ago. Reload this page and confirm that it is you.", nil)
		e.Code = "fresh_sign_in_required"
		return e
	}
	return nil
}

// beginPasskey and finishPasskey are the calls of webauthn.js. The second stores
// the passkey, named after the browser; the form, which follows, names it anew.
func (x *own) beginPasskey() error {
	if err := x.mayAdd(); err != nil {
		return err
	}
	options, err := x.p.SelfService.BeginPasskey(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID)
	if err != nil {
		return err
	}
	x.c.Set("Content-Type", "application/json")
	return x.c.Send(options)
}

func (x *own) finishPasskey() error {
	if err := x.mayAdd(); err != nil {
		return err
	}
	key, err := x.p.SelfService.FinishPasskey(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID, slices.Clone(x.c.Body()))
	if err != nil {
		return err
	}
	id := pool.PasskeyID(key.ID)
	if err := x.name(id, page.Device(web.Read(x.c).UserAgent)); err != nil {
		return err
	}
	if err := x.keep(x.p.Signin.PasskeyCookie(), "passkey", id, passkeyLife); err != nil {
		return err
	}
	return x.c.Status(http.StatusOK).JSON(struct{}{})
}

func (x *own) name(id, name string) error {
	return x.p.Signin.Users.NamePasskey(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID, id, name)
}

// rename gives a passkey the name of the form.
func (x *own) rename(id string, n notice) error {
	err := x.name(id, strings.TrimSpace(x.form.Get("name")))
	if fault.Is(err, fault.Unprocessable) {
		return x.show(web.Status(err), []page.FieldError{{Say: "The name of the passkey " + fault.Read(err).Public + "."}})
	}
	return x.result(err, n)
}

// addPasskey takes the form with the name, after the calls.
func (x *own) addPasskey() error {
	if !x.pooled() {
		return nothing()
	}
	id, err := x.take(x.p.Signin.PasskeyCookie(), "passkey")
	switch {
	case err != nil:
		return err
	case id == "":
		return x.show(http.StatusUnprocessableEntity, []page.FieldError{{Say: "Your browser did not make a passkey. Please try again."}})
	case strings.TrimSpace(x.form.Get("name")) == "": // it has the browser's
		return x.done(passkeyAdded)
	}
	return x.rename(id, passkeyAdded)
}

func (x *own) renamePasskey() error {
	if !x.pooled() {
		return nothing()
	}
	return x.rename(x.form.Get("id"), passkeyRenamed)
}

// removePasskey takes a passkey away, but not the last way to sign in.
func (x *own) removePasskey() error {
	if !x.pooled() {
		return nothing()
	}
	if x.stale() {
		return x.tooOld()
	}
	keepLast := signin.NeedsPasskey(&x.owner, &x.user)
	err := x.p.Signin.Users.RemovePasskey(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID, x.form.Get("id"), keepLast)
	return x.result(err, passkeyRemoved)
}
