package e2e_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const alice = "alice@example.com"

// forget asks for a message that lets alice choose a new password.
func (d *demo) forget(t *testing.T, ctx context.Context) {
	t.Helper()
	d.signedOut(t, ctx)
	run(t, ctx, press("Forgot your password?"), onPage("Tell us who you are"))
	shots(t, ctx, "reset-1-who")
	run(t, ctx, fill("identifier", alice), goOn, onPage("Check your email"))
	shots(t, ctx, "reset-2-sent")
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	d := startDemo(t, noCooldown)
	phone := d.browser(t)
	if resp, body := d.signIn(t, phone, d.AppURL, 0); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	ctx := chrome(t, 1280, 900)
	d.forget(t, ctx)
	open(t, ctx, d.letter(t, alice, 1))
	shots(t, ctx, "reset-3-password")
	run(t, ctx, fill("password", carolsOwn), fill("repeatPassword", carolsOwn+"!"), goOn, onPage("The two passwords differ"))
	run(t, ctx, fill("password", carolsOwn), fill("repeatPassword", carolsOwn), goOn, onPage("Your password is changed"))
	shots(t, ctx, "reset-4-done")
	if resp, _ := get(t, phone, d.AppURL); !strings.HasPrefix(resp.Request.URL.String(), d.BaseURL) {
		t.Errorf("the phone is still signed in: %d at %s", resp.StatusCode, resp.Request.URL)
	}
	run(t, ctx, goOn, fill("identifier", alice), fill("password", d.Users[0].Password), goOn, chromedp.WaitVisible(`[role=alert]`))
	run(t, ctx, fill("password", carolsOwn), goOn, onPage("Alice"))
}

// Who reads mail on another device types the code.
func TestForgottenPasswordByCode(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	ctx := chrome(t, 1280, 900)
	d.forget(t, ctx)
	l := d.letter(t, alice, 1)
	wrong := "00000000"
	if l.code(t) == wrong {
		wrong = "11111111"
	}
	run(t, ctx, fill("otp", wrong), goOn, onPage("not right"))
	shots(t, ctx, "reset-wrong-code")
	run(t, ctx, fill("otp", l.code(t)), goOn, onPage("Choose a new password"))
	run(t, ctx, fill("password", carolsOwn), fill("repeatPassword", carolsOwn), goOn, onPage("Your password is changed"))
	run(t, ctx, goOn, fill("identifier", alice), fill("password", carolsOwn), goOn, onPage("Alice"))
	open(t, ctx, l)
	run(t, ctx, onPage("does not work any more"), press("Send a new message"), onPage("Tell us who you are"))
}

// invite makes an account for somebody and returns the invitation.
func (d *demo) invite(t *testing.T, who string) letter {
	t.Helper()
	token := d.clientToken(t, "admin")
	var made struct {
		ID string `json:"id"`
	}
	d.api(t, token, http.MethodPost, d.poolPath("/users"), map[string]any{
		"status":               "new",
		"identifiers":          []any{map[string]any{"identifier": who, "type": "email"}},
		"verifiable_addresses": []any{map[string]any{"address": who, "type": "email", "status": "active", "verified": false}},
		"payload":              map[string]any{"given_name": "Dora", "family_name": "Example", "name": "Dora Example"},
	}, http.StatusCreated, &made)
	q := url.Values{"mode": {"invitation"}, "code_type_in_message": {"link"}, "server_id": {d.Workspace}}
	d.api(t, token, http.MethodPost, d.poolPath("/users/"+made.ID+"/activation/send?"+q.Encode()), map[string]any{}, http.StatusNoContent, nil)
	return d.letter(t, who, 1)
}

// A mail scanner follows the link in many ways before the person does, who opens
// it twice.
func TestInvitation(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.everyWay(t)
	const dora = "dora@example.com"
	l := d.invite(t, dora)
	if !strings.Contains(l.text, "invitation") {
		t.Errorf("no invitation: %s", l.text)
	}
	bare, _, _ := strings.Cut(l.link(t), "?")
	for range 12 {
		for _, address := range []string{l.link(t), bare} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				r, err := http.NewRequest(method, address, nil)
				if err != nil {
					t.Fatal(err)
				}
				d.do(t, r, http.StatusOK, nil)
			}
		}
	}
	ctx := chrome(t, 1280, 900)
	open(t, ctx, l)
	run(t, ctx, onPage("You have been invited"))
	shots(t, ctx, "invitation-1")
	open(t, ctx, l) // looking at it is not yet taking it
	run(t, ctx, fill("password", "short"), fill("repeatPassword", "short"), goOn, chromedp.WaitVisible(`[role=alert]`), onPage("You have been invited"))
	run(t, ctx, fill("password", carolsOwn), fill("repeatPassword", carolsOwn), goOn, onPage("Your account is active"))
	open(t, ctx, l)
	run(t, ctx, onPage("does not work any more"))
	shots(t, ctx, "invitation-2-spent")
	run(t, ctx, press("Sign in"), fill("identifier", dora), fill("password", carolsOwn), goOn, onPage("Dora"))
}

// The pool demands a second factor: an authenticator app is set up at the first
// sign-in and asked for at the next.
func TestSecondFactor(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.setPool(t, map[string]any{"second_factor_authentication_mechanisms": []string{"totp"}, "mfa_session_ttl": "24h0m0s"})
	ctx := chrome(t, 1280, 900)
	first := func() {
		t.Helper()
		d.signedOut(t, ctx)
		run(t, ctx, fill("identifier", alice), fill("password", d.Users[0].Password), goOn, chromedp.WaitVisible(`input[name=totp]`))
	}
	first()
	shots(t, ctx, "totp-1-set-up")
	var secret, recovery, another string
	run(t, ctx, chromedp.AttributeValue(`code.secret`, "data-text", &secret, nil),
		fill("totp", totp(t, secret, 10)), goOn, onPage("not right"))
	shots(t, ctx, "totp-2-wrong")
	run(t, ctx, fill("totp", totp(t, secret, -1)), goOn, onPage("Your recovery codes"))
	shots(t, ctx, "totp-3-recovery-codes")
	run(t, ctx, chromedp.Text(`ol.codes li`, &recovery), chromedp.Text(`ol.codes li:nth-child(2)`, &another), chromedp.Click(`input[name=saved]`), goOn, onPage("Alice"))

	first()
	shots(t, ctx, "totp-4-asked")
	run(t, ctx, fill("totp", totp(t, secret, -1)), goOn, onPage("not right")) // used already
	run(t, ctx, fill("totp", totp(t, secret, 1)), goOn, onPage("Alice"))

	first()
	run(t, ctx, press("Use a recovery code"), chromedp.WaitVisible(`input[name=recovery_code]`))
	shots(t, ctx, "totp-5-recovery-code")
	run(t, ctx, fill("recovery_code", recovery), goOn, onPage("Alice"))
	first()
	run(t, ctx, press("Use a recovery code"), fill("recovery_code", recovery), goOn, onPage("not right"))
	run(t, ctx, fill("recovery_code", another), chromedp.Click(`input[name=remember_browser]`), goOn, onPage("Alice"))
	d.remembered(t, ctx)
	// A mailbox alone replaces no second factor.
	run(t, ctx, chromedp.Navigate(d.BaseURL+"/"+d.Tenant+"/identity/"+d.PoolID+"/reset-totp?server_id="+d.Workspace),
		onPage("cannot be replaced by a message alone"))
}

// remembered signs alice out and in again, which asks for no second factor.
func (d *demo) remembered(t *testing.T, ctx context.Context) {
	t.Helper()
	run(t, ctx, chromedp.Navigate(d.AppURL), chromedp.Click(`a[href="/.gatepost/sign-out"]`), chromedp.Click(`form[action="/.gatepost/sign-out"] button`),
		onPage("You are signed out"), chromedp.Navigate(d.AppURL))
	run(t, ctx, fill("identifier", alice), fill("password", d.Users[0].Password), goOn, onPage("Alice"))
}
