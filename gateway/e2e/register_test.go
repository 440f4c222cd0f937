package e2e_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const (
	carol     = "carol@example.com"
	carolsOwn = "a long walk to the harbour"
)

// register fills in who registers, from the app's sign-in page, and stops where
// the person chooses how to sign in.
func (d *demo) register(t *testing.T, ctx context.Context, who string) {
	t.Helper()
	run(t, ctx, chromedp.Navigate(d.AppURL), chromedp.WaitVisible(`input[name=identifier]`), press("Create an account"),
		onPage("First name"))
	shots(t, ctx, "register-1-who")
	run(t, ctx, fill("identifier", who), fill("payload.given_name", "Carol"), fill("payload.family_name", "Example"), goOn,
		onPage("How do you want to sign in?"))
	shots(t, ctx, "register-2-how")
}

// open follows the link of a message.
func open(t *testing.T, ctx context.Context, l letter) {
	t.Helper()
	run(t, ctx, chromedp.Navigate(l.link(t)), chromedp.WaitVisible(`main h1`))
}

func TestRegisterWithPassword(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.everyWay(t)
	ctx := chrome(t, 1280, 900)
	d.register(t, ctx, carol)
	run(t, ctx, press("You choose one"), fill("password", "short"), fill("repeatPassword", "short"), goOn, chromedp.WaitVisible(`[role=alert]`))
	shots(t, ctx, "register-3-weak-password")
	run(t, ctx, fill("password", carolsOwn), fill("repeatPassword", carolsOwn), goOn, onPage("Check your email"))
	shots(t, ctx, "register-4-sent")
	open(t, ctx, d.letter(t, carol, 1))
	shots(t, ctx, "register-5-activate")
	run(t, ctx, goOn, onPage("Your account is active"))
	shots(t, ctx, "register-6-done")
	run(t, ctx, goOn, fill("identifier", carol), fill("password", carolsOwn), goOn, onPage("Carol"))
	var at string
	run(t, ctx, chromedp.Location(&at))
	if !strings.HasPrefix(at, d.AppURL) {
		t.Errorf("signed in at %s, want the app", at)
	}
	open(t, ctx, d.letter(t, carol, 1))
	run(t, ctx, onPage("does not work any more"))
	shots(t, ctx, "link-spent")
}

// The code in the message, typed where the registration was, does what the link
// does.
func TestRegisterAndTypeTheCode(t *testing.T) {
	t.Parallel()
	d := startDemo(t, noCooldown)
	d.everyWay(t)
	ctx := chrome(t, 1280, 900)
	d.register(t, ctx, carol)
	run(t, ctx, press("You choose one"), fill("password", carolsOwn), fill("repeatPassword", carolsOwn), goOn, onPage("Check your email"))
	first := d.letter(t, carol, 1).code(t)
	run(t, ctx, press("Send another message"), onPage("Only the newest one works"), fill("otp", first), goOn, onPage("not right"))
	shots(t, ctx, "register-wrong-code")
	run(t, ctx, fill("otp", d.letter(t, carol, 2).code(t)), goOn, onPage("Your account is active"))
	run(t, ctx, goOn, fill("identifier", carol), fill("password", carolsOwn), goOn, onPage("Carol"))
}

func TestRegisterWithPasskey(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.everyWay(t)
	ctx := chrome(t, 1280, 900)
	key := newAuthenticator(t, ctx)
	d.registerPasskey(t, ctx, key)
	d.passkeyOffer(t, ctx, key)
	d.lostPasskey(t, ctx, key)
}

// registerPasskey registers carol with a passkey and signs her in with it.
func (d *demo) registerPasskey(t *testing.T, ctx context.Context, key *authenticator) {
	t.Helper()
	d.register(t, ctx, carol)
	run(t, ctx, press("Your fingerprint"), onPage("Check your email"))
	open(t, ctx, d.letter(t, carol, 1))
	shots(t, ctx, "activate-passkey")
	run(t, ctx, key.touched(true), press("Create a passkey"), onPage("Your account is active"), key.touched(false))
	d.passkeyButton(t, ctx, key)
}

// signedOut opens the sign-in page of the app in a browser that nobody is signed
// in with.
func (d *demo) signedOut(t *testing.T, ctx context.Context) {
	t.Helper()
	run(t, ctx, chromedp.ActionFunc(clearCookies), chromedp.Navigate(d.AppURL), chromedp.WaitVisible(`input[name=identifier]`))
}

// offered waits until the page has made its offer, which nobody took; else the
// touch would take it.
var offered = chromedp.Poll(`performance.getEntriesByType("resource").some((e) => e.name.includes("/webauthn/options") && e.responseEnd > 0)`, nil)

func (d *demo) passkeyButton(t *testing.T, ctx context.Context, key *authenticator) {
	t.Helper()
	d.signedOut(t, ctx)
	shots(t, ctx, "sign-in-every-way")
	run(t, ctx, offered, key.touched(true), press("Sign in with a passkey"), onPage("Carol"), key.touched(false))
}

func (d *demo) passkeyOffer(t *testing.T, ctx context.Context, key *authenticator) {
	t.Helper()
	run(t, ctx, chromedp.ActionFunc(clearCookies), key.touched(true), chromedp.Navigate(d.AppURL), onPage("Carol"), key.touched(false))
}

func (d *demo) lostPasskey(t *testing.T, ctx context.Context, key *authenticator) {
	t.Helper()
	run(t, ctx, key.lose())
	d.signedOut(t, ctx)
	run(t, ctx, press("Lost your passkey?"), onPage("Tell us who you are"))
	shots(t, ctx, "lost-passkey-1-who")
	run(t, ctx, fill("identifier", carol), goOn, onPage("Check your email"))
	shots(t, ctx, "lost-passkey-2-sent")
	open(t, ctx, d.letter(t, carol, 2))
	shots(t, ctx, "lost-passkey-3-new")
	run(t, ctx, key.touched(true), press("Create a passkey"), onPage("Your passkey is ready"), key.touched(false))
	shots(t, ctx, "lost-passkey-4-done")
	run(t, ctx, goOn, chromedp.WaitVisible(`input[name=identifier]`), key.touched(true), press("Sign in with a passkey"), onPage("Carol"))
}

func TestRegisterWithCode(t *testing.T) {
	t.Parallel()
	d := startDemo(t, noCooldown)
	d.everyWay(t)
	ctx := chrome(t, 1280, 900)
	d.register(t, ctx, carol)
	run(t, ctx, press("We send you a code"), onPage("Check your email"))
	open(t, ctx, d.letter(t, carol, 1))
	shots(t, ctx, "activate-button")
	run(t, ctx, goOn, onPage("Your account is active"), goOn, press("Sign in with a code"))
	run(t, ctx, chromedp.WaitVisible(`button[value=send_otp]`))
	shots(t, ctx, "code-1-who")
	run(t, ctx, fill("identifier", carol), goOn, onPage("a code is on its way"))
	first := d.letter(t, carol, 2).code(t)
	wrong := "000000"
	if first == wrong {
		wrong = "111111"
	}
	run(t, ctx, fill("otp", wrong), goOn, onPage("not right"))
	shots(t, ctx, "code-2-wrong")
	run(t, ctx, press("Send another code"), onPage("Only the newest one works"))
	shots(t, ctx, "code-3-again")
	second := d.letter(t, carol, 3).code(t)
	if second != first {
		run(t, ctx, fill("otp", first), goOn, onPage("not right"))
	}
	run(t, ctx, fill("otp", second), goOn, onPage("Carol"))
}

// registerByHand registers without a browser and returns the page that answers.
func (d *demo) registerByHand(t *testing.T, c *http.Client, who, password string) string {
	t.Helper()
	resp, body := get(t, c, d.AppURL)
	resp, body = submit(t, c, resp.Request.URL, body, url.Values{"action": {"change_to_register"}})
	resp, body = submit(t, c, resp.Request.URL, body, url.Values{
		"identifier": {who}, "payload.given_name": {"Carol"}, "payload.family_name": {"Example"}, "action": {"change_to_credential_entry"},
	})
	resp, body = submit(t, c, resp.Request.URL, body, url.Values{"action": {"change_to_password_entry"}})
	_, body = submit(t, c, resp.Request.URL, body, url.Values{"password": {password}, "repeatPassword": {password}, "action": {"submit"}})
	return body
}

var changing = regexp.MustCompile(`(login_id|login_state|csrf_token" value)=[^&"]*"?[^&"]*|/assets/[^"]*`)

// Whoever registers a name that is taken sees what anybody sees, and its owner
// hears of it.
func TestRegisterTakenName(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.everyWay(t)
	pages := map[string]string{}
	for _, who := range []string{"alice@example.com", carol} {
		body := d.registerByHand(t, d.browser(t), who, carolsOwn)
		pages[who] = strings.ReplaceAll(changing.ReplaceAllString(body, ""), who, "WHO")
	}
	if pages[carol] != pages["alice@example.com"] || !strings.Contains(pages[carol], "Check your email") {
		t.Errorf("the pages differ:\n%s\n%s", pages[carol], pages["alice@example.com"])
	}
	l := d.letter(t, "alice@example.com", 1)
	if codeInText.MatchString(linkInText.ReplaceAllString(l.text, "")) || !strings.Contains(l.text, "alice@example.com") {
		t.Errorf("the owner reads %q:\n%s", l.subject, l.text)
	}
	d.letter(t, carol, 1)
}

// Somebody registers the address of another person with a password of their own
// choice. When that person activates the account in their own browser, the
// password is theirs alone.
func TestRegisterForSomebodyElse(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.everyWay(t)
	attacker := d.browser(t)
	d.registerByHand(t, attacker, carol, "the attacker knows this one")
	ctx := chrome(t, 1280, 900)
	open(t, ctx, d.letter(t, carol, 1))
	run(t, ctx, chromedp.WaitVisible(`input[name=repeatPassword]`))
	shots(t, ctx, "activate-other-browser")
	run(t, ctx, fill("password", carolsOwn), fill("repeatPassword", carolsOwn), goOn, onPage("Your account is active"))
	for password, want := range map[string]int{"the attacker knows this one": http.StatusUnauthorized, carolsOwn: http.StatusOK} {
		c := d.browser(t)
		resp, body := get(t, c, d.AppURL)
		resp, body = submit(t, c, resp.Request.URL, body, url.Values{"identifier": {carol}, "password": {password}})
		if resp.StatusCode != want || (want == http.StatusOK) != strings.HasPrefix(resp.Request.URL.String(), d.AppURL) {
			t.Errorf("%q: %d at %s:\n%s", password, resp.StatusCode, resp.Request.URL, body)
		}
	}
}
