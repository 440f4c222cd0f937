package e2e_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// socket opens a WebSocket of the app behind the gateway and notes when it closes.
const socket = `new Promise((done, failed) => {
	const ws = new WebSocket(location.origin.replace("http", "ws") + "/echo");
	ws.onmessage = () => done(true);
	ws.onerror = () => failed(new Error("no WebSocket"));
	ws.onopen = () => ws.send("hello");
	ws.onclose = () => { window.closedAt = Date.now(); };
})`

// A sign-out in one tab ends the WebSocket of another, and so does the end of the
// session from another browser: within a second.
func TestLogoutClosesWebSockets(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, d *demo, tab context.Context) int64{
		"in another tab":       signOutInTab,
		"from another browser": endFromElsewhere,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDemo(t)
			ctx := chrome(t, 1280, 900)
			alice := d.Users[0]
			run(t, ctx, chromedp.Navigate(d.AppURL), chromedp.WaitVisible(`input[name=identifier]`),
				chromedp.SendKeys(`input[name=identifier]`, alice.Identifier),
				chromedp.SendKeys(`input[name=password]`, alice.Password+"\r"), onPage("Alice"))
			var open bool
			run(t, ctx, chromedp.Navigate(d.AppURL+"/headers"), onPage("X-Auth-Request-User")) // a page whose policy lets it connect
			run(t, ctx, chromedp.Evaluate(socket, &open, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
				return p.WithAwaitPromise(true)
			}))
			tab, cancel := chromedp.NewContext(ctx)
			defer cancel()
			if err := chromedp.Run(tab); err != nil { // it lives as long as the context that opens it
				t.Fatal(err)
			}
			began := end(t, d, tab)
			var closed int64
			eventually(t, "the WebSocket closes", func() error { // the browser lets a hidden tab poll once in a while only
				run(t, ctx, chromedp.Evaluate(`window.closedAt || 0`, &closed))
				if closed == 0 {
					return errors.New("it is open")
				}
				return nil
			})
			took := time.Duration(closed-began) * time.Millisecond
			t.Logf("the WebSocket closed %s after the click", took)
			if took > 3*time.Second { // a machine that is busy with other tests
				t.Error("it should take a second at most")
			}
			run(t, ctx, chromedp.Navigate(d.AppURL), chromedp.WaitVisible(`input[name=identifier]`))
		})
	}
}

// signOutInTab signs out by the account page in a tab of the same browser, and
// returns when.
func signOutInTab(t *testing.T, d *demo, tab context.Context) (began int64) {
	t.Helper()
	run(t, tab, chromedp.Navigate(d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+"/oidc/logout"), onPage("Do you want to sign out?"))
	shots(t, tab, "logout-1-confirm")
	run(t, tab, chromedp.Evaluate(`(() => { const at = Date.now(); document.querySelector('form button.primary').click(); return at; })()`, &began),
		onPage("Your session has ended in this browser"))
	shots(t, tab, "logout-2-signed-out")
	return began
}

// endFromElsewhere ends all other sessions by the account page of another browser.
func endFromElsewhere(t *testing.T, d *demo, _ context.Context) (began int64) {
	t.Helper()
	ctx := chrome(t, 1280, 900)
	alice := d.Users[0]
	run(t, ctx, chromedp.Navigate(d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+"/app"), chromedp.WaitVisible(`input[name=identifier]`),
		chromedp.SendKeys(`input[name=identifier]`, alice.Identifier),
		chromedp.SendKeys(`input[name=password]`, alice.Password+"\r"), onPage("Where you are signed in"))
	shots(t, ctx, "sessions-1")
	run(t, ctx, chromedp.Evaluate(`(() => { const at = Date.now(); document.querySelector('form[action$="/end-others"] button').click(); return at; })()`, &began),
		onPage("All other sessions have ended."))
	shots(t, ctx, "sessions-2-ended")
	return began
}
