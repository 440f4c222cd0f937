package portal

import (
	"encoding/json"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// setUpForm shows the form of the first set-up. Looking at it uses nothing up.
func (p *Portal) setUpForm(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	q, err := web.Query(c)
	if err != nil {
		return err
	}
	token := q.Get("token")
	if err := p.Setup.Look(ctx, token); err != nil {
		return err
	}
	return p.show(c, nil, http.StatusOK, page.SetUp{CSRF: p.setUpToken(token), Action: "/setup", Token: token, Tenant: "Default"})
}

func (p *Portal) setUpToken(token string) string { return p.token("set-up", token) }

// setUp makes the first operator and tenant, once.
func (p *Portal) setUp(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	f, err := web.Form(c)
	if err != nil {
		return err
	}
	token := f.Get("token")
	if _, err := p.post(c, p.setUpToken(token)); err != nil {
		return err
	}
	again := func(status int, errs []page.FieldError) error {
		return p.show(c, nil, status, page.SetUp{
			CSRF: p.setUpToken(token), Action: "/setup", Token: token, Tenant: f.Get("tenant"), Identifier: f.Get("identifier"), Errors: errs,
		})
	}
	if f.Get("password") != f.Get("repeatPassword") {
		return again(http.StatusUnprocessableEntity, []page.FieldError{{Field: "repeatPassword", Say: "The two passwords differ."}})
	}
	done, err := p.Setup.Complete(ctx, token, setup.Answers{
		Identifier: f.Get("identifier"), Password: f.Get("password"), TenantName: f.Get("tenant"),
	})
	if status, errs, ok := formErrors(err); ok {
		return again(status, errs)
	}
	if err != nil {
		return err
	}
	file, err := json.MarshalIndent(p.Setup.File(&done), "", "  ")
	if err != nil {
		return err
	}
	return p.show(c, nil, http.StatusOK, page.SetUpDone{
		Identifier: f.Get("identifier"), ClientFile: string(file), NextURL: "/system/admin/app",
	})
}
