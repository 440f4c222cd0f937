package portal

import (
	"net/http"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// formToken is the token of forms on pages of a session: nobody else can make
// it, and it ends with the session.
func (p *Portal) formToken(s *session.Session) string {
	if s == nil {
		return ""
	}
	return p.token("form", s.Tenant, s.ID)
}

// logoutRequest is the end_session_endpoint (OpenID Connect RP-Initiated Logout
// 1.0, section 2). What proves itself by an ID token of this very session is
// done at once; anything else is asked first.
func (p *Portal) logoutRequest(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	space, err := p.space(ctx, c)
	if err != nil {
		return err
	}
	if err := p.withinRate(ctx, c, space.Tenant); err != nil {
		return err
	}
	if web.CrossSitePost(c) { // without the browser's Lax cookies; as a GET it has them
		return web.Again(c)
	}
	q, err := parameters(c)
	if err != nil {
		return err
	}
	plan, err := p.Signin.PlanLogout(ctx, space, signin.Logout{
		IDTokenHint: q.Get("id_token_hint"), Hint: q.Get("logout_hint"), Client: q.Get("client_id"),
		PostLogoutRedirectURI: q.Get("post_logout_redirect_uri"), State: q.Get("state"), RedirectTo: q.Get("redirect_to"),
	}, Browser(c))
	if err != nil {
		return err
	}
	if plan.Confirm {
		target := plan.Target
		v := page.ConfirmSignOut{
			CSRF: p.formToken(plan.Session), Action: "/" + space.Tenant + "/" + space.ID + "/sign-out",
			Hidden: []page.Field{{Name: "target", Value: target}, {Name: "proof", Value: p.targetProof(target)}},
			App:    plan.Asks, Who: personName(plan.Session), StayURL: "/" + space.Tenant + "/" + space.ID + "/app",
		}
		return p.show(c, space, http.StatusOK, v, target)
	}
	out, err := p.Signin.SignOut(ctx, space, Browser(c))
	if err != nil {
		return err
	}
	if plan.Target != "" {
		out.Location = plan.Target
	}
	return p.Go(c, out)
}

func parameters(c *fiber.Ctx) (url.Values, error) {
	if web.Read(c).Method == fiber.MethodPost {
		return web.Form(c)
	}
	return web.Query(c)
}

// targetProof lets a checked target travel through the confirmation page and
// come back unchanged.
func (p *Portal) targetProof(target string) string { return p.token("logout-target", target) }

func (p *Portal) signOut(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	space, err := p.space(ctx, c)
	if err != nil {
		return err
	}
	current, err := p.Signin.Current(ctx, space, Browser(c))
	if isSignedOut(err) {
		return p.Go(c, signin.Outcome{Location: "/" + space.Tenant + "/" + space.ID + "/signed-out"})
	}
	if err != nil {
		return err
	}
	f, err := p.post(c, p.formToken(current))
	if err != nil {
		return err
	}
	out, err := p.Signin.SignOut(ctx, space, Browser(c))
	if err != nil {
		return err
	}
	if target := f.Get("target"); target != "" && same(f.Get("proof"), p.targetProof(target)) {
		out.Location = target
	}
	return p.Go(c, out)
}

func (p *Portal) signedOut(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	space, err := p.space(ctx, c)
	if err != nil {
		return err
	}
	q, err := web.Query(c)
	if err != nil {
		return err
	}
	return p.show(c, space, http.StatusOK, page.SignedOut{Ended: q.Get("ended"), SignInURL: "/" + space.Tenant + "/" + space.ID + "/app"})
}
