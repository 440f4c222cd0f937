package e2e_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// unfold opens the part of the page whose heading says this.
func unfold(text string) chromedp.Action {
	return chromedp.Click(`//main//summary[contains(normalize-space(.), "`+text+`")]`, chromedp.BySearch, chromedp.NodeVisible)
}

// A passkey that its owner took away signs nobody in, though the device has it
// still.
func TestRemovePasskey(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.everyWay(t)
	ctx := chrome(t, 1280, 900)
	key := newAuthenticator(t, ctx)
	d.registerPasskey(t, ctx, key)
	run(t, ctx, chromedp.Navigate(d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+"/app"), onPage("Each of them signs you in."))
	shots(t, ctx, "account-passkey-1")
	run(t, ctx, unfold("Remove"), chromedp.WaitVisible(`form[action$="/passkeys/remove"] button`))
	shots(t, ctx, "account-passkey-2-remove")
	run(t, ctx, press("Remove this passkey"), onPage("The passkey is removed."))
	shots(t, ctx, "account-passkey-3-removed")
	var left int
	run(t, ctx, chromedp.Evaluate(`document.querySelectorAll('form[action$="/passkeys/remove"]').length`, &left))
	if left != 0 {
		t.Errorf("%d passkeys are left", left)
	}
	d.signedOut(t, ctx)
	run(t, ctx, offered, key.touched(true), press("Sign in with a passkey"), chromedp.WaitVisible(`[role=alert]`))
	shots(t, ctx, "account-passkey-4-refused")
	var at string
	run(t, ctx, chromedp.Location(&at), key.touched(false))
	if !strings.HasPrefix(at, d.BaseURL) {
		t.Errorf("the removed passkey leads to %s", at)
	}
}
