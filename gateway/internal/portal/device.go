package portal

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/vault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// mountDevice adds the page where people answer for devices (RFC 8628, section
// 3.3). A code is looked up only for who is signed in, and an address with a code
// in it only fills in the form: whoever follows a link sees what they are about to
// do, and nobody's tries are used up by another site.
func (p *Portal) mountDevice(g fiber.Router) {
	g.Get("/:tid/:wid/device", p.onDevice((*own).deviceForm))
	g.Post("/:tid/:wid/device", p.onDevice((*own).device))
}

// onDevice runs fn for whoever asks; signed out, x.current is nil.
func (p *Portal) onDevice(fn func(*own) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := audited(c)
		defer cancel()
		x, err := p.own(ctx, c)
		if err != nil && !isSignedOut(err) {
			return err
		}
		return fn(x)
	}
}

func (x *own) devicePage() string { return signin.DevicePage(x.space) }

// deviceForm asks for the code, or goes on with the one that was typed before the
// sign-in.
func (x *own) deviceForm() error {
	q, err := web.Query(x.c)
	if err != nil {
		return err
	}
	if q.Has("code") || q.Has("error") {
		return x.afterSignIn(q)
	}
	typed := q.Get("user_code")
	if code, ok := signin.UserCode(x.space, typed); ok {
		typed = code
	}
	return x.showDeviceCode(clipped(typed), http.StatusOK, nil)
}

// userCodeLife is how long a code that was typed waits for the sign-in.
const userCodeLife = 30 * time.Minute

// afterSignIn goes on with the code that was typed in this browser before the
// sign-in. A link that somebody else made leads to the empty form.
func (x *own) afterSignIn(q url.Values) error {
	name := x.p.Signin.UserCodeCookie()
	for _, value := range web.Cookies(x.c, name) {
		raw, err := x.p.Ring.Open(value, x.deviceAAD())
		code, state, _ := strings.Cut(string(raw), " ")
		if err != nil || state == "" || subtle.ConstantTimeCompare([]byte(state), []byte(q.Get("state"))) == 0 {
			continue
		}
		if err := setCookies(x.c, []signin.Cookie{x.p.Signin.Cookie(name, "", -1)}); err != nil {
			return err
		}
		switch {
		case x.current == nil:
			return fault.New(fault.Denied, "The sign-in did not reach this page: does your browser block cookies?", nil)
		case q.Has("error"):
			return x.showDeviceCode(code, http.StatusForbidden, []page.FieldError{{Say: "The app on this device wants a stronger sign-in than yours."}})
		}
		return x.showDevice(code)
	}
	return web.SeeOther(x.c, x.devicePage())
}

func (x *own) deviceAAD() string { return vault.AAD(x.space.Tenant, "pages", x.space.ID, "device") }

func (x *own) showDeviceCode(code string, status int, errs []page.FieldError) error {
	return x.p.show(x.c, x.space, status, page.DeviceCode{
		CSRF: x.p.formToken(x.current), Action: x.devicePage(), Code: code, Errors: errs,
	})
}

// device takes the code, or the answer.
func (x *own) device() error {
	if err := web.SameOrigin(x.c, x.p.Base); err != nil {
		return err
	}
	f, err := web.Form(x.c)
	if err != nil {
		return err
	}
	typed := f.Get("user_code")
	code, ok := signin.UserCode(x.space, typed)
	if !ok {
		return x.showDeviceCode(clipped(typed), http.StatusUnprocessableEntity, []page.FieldError{{Field: "user_code", Say: fieldUserCode}})
	}
	if x.current == nil { // who typed a code before they signed in, and whoever signed out over the question
		return x.signInFor(code, &signin.NeedError{})
	}
	token := x.p.formToken(x.current)
	if f.Has("action") {
		token = x.deviceToken(code)
	}
	if _, err := x.p.post(x.c, token); err != nil {
		return err
	}
	switch f.Get("action") {
	case "":
		return x.showDevice(code)
	case page.ActionAllow, page.ActionDeny:
		return x.answerDevice(code, f.Get("action") == page.ActionAllow)
	}
	return fault.At(fault.Invalid, "action", "must be allow or deny")
}

const fieldUserCode = "This is not a code of a device. Type it as the device shows it."

// deviceToken guards the answer for one device: it is good for no other code and
// no other session.
func (x *own) deviceToken(code string) string {
	return x.p.token("device", x.space.Tenant, x.space.ID, x.current.ID, code)
}

// signInFor asks for a sign-in that comes back to this browser with the code.
func (x *own) signInFor(code string, need *signin.NeedError) error {
	state := vault.NewSecret()
	value, err := x.p.Ring.Seal([]byte(code+" "+state), x.deviceAAD())
	if err != nil {
		return err
	}
	out, err := x.p.Signin.Authorize(x.ctx, x.space, login.Request{
		Client: setup.PortalID(&x.space.Workspace), RedirectURI: x.p.Base + x.devicePage(), Scopes: []string{"openid"}, MaxAge: -1,
		State: state, Challenge: signin.SealedChallenge(), // the session is all that is wanted
		ACRValues: need.ACRValues, Prompt: need.Prompt,
	}, Browser(x.c))
	if err != nil {
		return err
	}
	out.Cookies = append(out.Cookies, x.p.Signin.Cookie(x.p.Signin.UserCodeCookie(), value, userCodeLife))
	return x.p.Go(x.c, out)
}

// showDevice shows what the device with a code asks for.
func (x *own) showDevice(code string) error {
	q, err := x.p.Signin.Device(x.ctx, x.space, x.current, code, Browser(x.c))
	var need *signin.NeedError
	if errors.As(err, &need) {
		return x.signInFor(code, need)
	}
	if status, errs, ok := formErrors(err); ok {
		retryAfter(x.c, err)
		return x.showDeviceCode(code, status, errs)
	}
	if err != nil {
		return err
	}
	about := known(x.current)
	return x.p.show(x.c, x.space, http.StatusOK, page.DeviceConfirm{
		CSRF: x.deviceToken(code), Action: x.devicePage(), Code: code,
		App: clientName(q.Client.ClientName, q.Client.ClientID), AppURL: q.Client.ClientURI, PolicyURL: q.Client.PolicyURI, TermsURL: q.Client.TOSURI,
		Name: about.String("name"), Identifier: about.String("preferred_username"),
		Asks: asks(q.Scopes), From: q.Device.IP, At: q.Device.Created,
	})
}

func (x *own) answerDevice(code string, allow bool) error {
	q, err := x.p.Signin.AnswerDevice(x.ctx, x.space, x.current, code, allow)
	if isSignedOut(err) {
		return err
	}
	var need *signin.NeedError
	if errors.As(err, &need) {
		return x.signInFor(code, need)
	}
	if status, errs, ok := formErrors(err); ok {
		return x.showDeviceCode(code, status, errs)
	}
	if err != nil {
		return err
	}
	return x.p.show(x.c, x.space, http.StatusOK, page.DeviceDone{App: clientName(q.Client.ClientName, q.Client.ClientID), Allowed: allow})
}

// clipped bounds what is shown again of an address or a form.
func clipped(s string) string { return s[:min(len(s), 64)] }
