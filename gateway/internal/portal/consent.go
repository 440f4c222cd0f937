package portal

import (
	"net/http"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// mountConsent adds the page on which people answer what a client asks for. Its
// form says yes or no and nothing else: what is allowed is what the login's
// request asked for.
func (p *Portal) mountConsent(g fiber.Router) {
	g.Get("/:tid/:wid/consent", p.onStep((*step).consentForm))
	g.Post("/:tid/:wid/consent", p.onForm((*step).consent))
}

func (x *step) consentForm() error {
	q, err := x.p.Signin.Question(x.ctx, x.space, x.l, Browser(x.c))
	if err != nil {
		return ended(err)
	}
	v := page.Consent{
		CSRF: x.l.State, Action: self(x.c), App: clientName(q.Client.ClientName, q.Client.ClientID),
		AppURL: q.Client.ClientURI, PolicyURL: q.Client.PolicyURI, TermsURL: q.Client.TOSURI,
		Name: q.Name, Identifier: q.Identifier, Asks: asks(q.Scopes),
	}
	if u, err := url.Parse(x.l.Request.RedirectURI); err == nil {
		v.Host = u.Host // of a native app there is none
	}
	return x.show(http.StatusOK, v)
}

func (x *step) consent() error {
	answer := x.p.Signin.Refuse
	switch x.form.Get("action") {
	case page.ActionAllow:
		answer = x.p.Signin.Allow
	case page.ActionDeny:
	default:
		return fault.At(fault.Invalid, "action", "must be allow or deny")
	}
	out, err := answer(x.ctx, x.space, x.l, Browser(x.c))
	if err != nil {
		return ended(err)
	}
	return x.p.Go(x.c, out)
}

// toConsent leads from the pages of a pool to the one that the login waits for.
func (x *step) toConsent() error {
	return web.SeeOther(x.c, x.p.Signin.Address(x.space, x.l))
}

// ended is the error of a login whose person may not go on: for who is asked
// nothing more there is no form to mend.
func ended(err error) error {
	if fault.Is(err, fault.Unauthenticated) {
		return login.ErrGone
	}
	return err
}

// asks puts scopes into people's words: what a client may do, and under which
// name.
func asks(scopes []signin.WantedScope) []page.Ask {
	list := make([]page.Ask, len(scopes))
	for i, s := range scopes {
		list[i] = page.Ask{Name: s.Description, Detail: scopeName(s.DisplayName, s.Name), Before: s.Before}
		if s.Description == "" {
			list[i].Name, list[i].Detail = list[i].Detail, ""
		}
	}
	return list
}

func scopeName(display, name string) string {
	if display != "" {
		return display
	}
	return name
}

func clientName(name, id string) string {
	if name != "" {
		return name
	}
	return id
}
