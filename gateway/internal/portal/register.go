package portal

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// draft is what the former steps of a registration said. It travels sealed in
// the form.
type draft struct {
	Identifier string          `json:"identifier"`
	Address    string          `json:"address,omitempty"`
	Payload    json.RawMessage `json:"payload"`
}

func (x *visit) draftAAD() string {
	return vault.AAD(x.owner.TenantID, "pages", x.owner.Epoch, "registration")
}

// registering is what the page of a registration shows.
type registering struct {
	view  page.View
	draft draft
	typed map[string]string // of the first step
}

func (x *visit) registerForm() error {
	return x.showRegister(registering{view: page.UserEntry}, http.StatusOK, nil)
}

func (x *visit) showRegister(r registering, status int, errs []page.FieldError) error {
	if !x.owner.PublicRegistrationAllowed {
		return x.show(http.StatusForbidden, page.RegistrationClosed{SignInURL: x.back()})
	}
	fields, err := x.p.profileFields(x.ctx, &x.owner, r.typed)
	if err != nil {
		return err
	}
	v := page.Register{
		CSRF: x.token, Action: self(x.c), App: x.brand(), View: r.view, Identifier: r.draft.Identifier, Address: r.draft.Address,
		AllowPhone: true, AskAddress: true, Fields: fields, Methods: modes(&x.owner), Rules: rules(x.owner.PasswordPolicy),
		Errors: errs, SignInURL: x.back(),
	}
	if r.view != page.UserEntry {
		raw, err := json.Marshal(r.draft)
		if err != nil {
			return err
		}
		if v.State, err = x.p.Ring.Seal(raw, x.draftAAD()); err != nil {
			return err
		}
	}
	return x.show(status, v)
}

// register takes a step of a registration (published API 30).
func (x *visit) register() error {
	if !x.owner.PublicRegistrationAllowed {
		return x.registerForm()
	}
	r := registering{view: page.View(x.form.Get("authn_mode"))}
	action := x.form.Get("action")
	if r.view == "" || r.view == page.UserEntry {
		return x.registerUser()
	}
	raw, err := x.p.Ring.Open(x.form.Get("state"), x.draftAAD())
	if err == nil {
		err = json.Unmarshal(raw, &r.draft)
	}
	if err != nil {
		return fault.New(fault.Invalid, "This form is out of date. Please start again.", err)
	}
	to, ok := map[string]page.View{
		page.ActionCredentialEntry: page.CredentialEntry, page.ActionPasswordEntry: page.PasswordEntry, page.ActionUserEntry: page.UserEntry,
	}[action]
	switch {
	case ok:
		r.view = to
		r.typed = flat(r.draft.Payload)
		return x.showRegister(r, http.StatusOK, nil)
	case action == page.ActionCodeEntry && x.offers(page.ModeCode):
		return x.finish(r, "", promptNothing)
	case action == page.ActionPasskeyEntry && x.offers(page.ModePasskey):
		return x.finish(r, "", promptPasskey)
	case r.view != page.PasswordEntry || !x.offers(page.ModePassword):
		r.view = page.CredentialEntry
		return x.showRegister(r, http.StatusUnprocessableEntity, []page.FieldError{{Say: "Choose one of these ways to sign in."}})
	}
	if errs := chosen(x.form); errs != nil {
		return x.showRegister(r, http.StatusUnprocessableEntity, errs)
	}
	return x.finish(r, x.form.Get("password"), promptPassword)
}

func (x *visit) offers(m page.Mode) bool { return slices.Contains(modes(&x.owner), m) }

// registerUser takes the first step: who they are.
func (x *visit) registerUser() error {
	typed := map[string]string{}
	for name := range x.form {
		if rest, ok := strings.CutPrefix(name, profilePrefix); ok {
			typed[rest] = x.form.Get(name)
		}
	}
	r := registering{view: page.UserEntry, typed: typed, draft: draft{
		Identifier: strings.TrimSpace(x.form.Get("identifier")), Address: strings.TrimSpace(x.form.Get("otp_address")),
	}}
	if r.draft.Address == "" && channel(r.draft.Identifier) == "" && r.draft.Identifier != "" {
		return x.showRegister(r, http.StatusUnprocessableEntity, []page.FieldError{{Field: "otp_address", Say: "A user name receives no message. Enter an email, too."}})
	}
	if r.draft.Address != "" && channel(r.draft.Identifier) != "" { // it would be theirs without proof
		return x.showRegister(r, http.StatusUnprocessableEntity, []page.FieldError{{Field: "otp_address", Say: "Leave this empty: the message goes to the email or number above."}})
	}
	payload, err := x.p.profile(x.ctx, &x.owner, typed)
	if err == nil {
		r.draft.Payload = payload
		err = x.p.Signin.Users.CheckRegistration(x.ctx, x.owner.TenantID, x.owner.ID, pool.Registration{
			Identifier: r.draft.Identifier, Address: r.draft.Address, Payload: payload,
		})
	}
	if err != nil {
		return x.again(err, func(status int, errs []page.FieldError) error { return x.showRegister(r, status, errs) })
	}
	r.view = page.CredentialEntry
	if list := modes(&x.owner); len(list) == 1 {
		switch list[0] {
		case page.ModeCode:
			return x.finish(r, "", promptNothing)
		case page.ModePasskey:
			return x.finish(r, "", promptPasskey)
		case page.ModePassword, page.ModeTOTP, page.ModeRecoveryCode:
			r.view = page.PasswordEntry
		}
	}
	return x.showRegister(r, http.StatusOK, nil)
}

// registered is what the browser that registered keeps: with it the activation
// need not ask again for a password that was just chosen here.
type registered struct {
	Registration string `json:"registration"`
	Prompt       string `json:"prompt"`
}

const registeredLife = 24 * time.Hour

// finish registers and says that a message is on its way, whoever has the name.
func (x *visit) finish(r registering, password, prompt string) error {
	d := x.delivery()
	d.Prompt = prompt
	made, err := x.p.SelfService.Register(x.ctx, x.owner.TenantID, x.owner.ID, pool.Registration{
		Identifier: r.draft.Identifier, Address: r.draft.Address, Payload: r.draft.Payload, Password: password,
	}, true, d)
	if err != nil {
		if fault.Read(err).Field != "password" {
			r.view, r.typed = page.UserEntry, flat(r.draft.Payload)
		}
		return x.again(err, func(status int, errs []page.FieldError) error { return x.showRegister(r, status, errs) })
	}
	if made.Registration == "" { // who sends it twice keeps theirs
		made.Registration = x.registered().Registration
	}
	if made.Registration == "" { // the same cookie for anybody
		made.Registration = vault.NewID()
	}
	if err := x.keep(x.p.Signin.RegisteredCookie(), registered{made.Registration, prompt}, "registered", registeredLife); err != nil {
		return err
	}
	to := r.draft.Address
	if to == "" {
		to = r.draft.Identifier
	}
	return x.show(http.StatusOK, page.Sent{
		CSRF: x.token, Action: x.here("activate"), For: page.ForActivation, To: to, Channel: channel(to),
		Hidden:     []page.Field{{Name: "identifier", Value: r.draft.Identifier}},
		CodeLength: x.owner.OTPSettings.Activation.Length, AgainURL: x.here("register"), SignInURL: x.back(),
	})
}
