package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chrome starts a headless Chromium with a profile of its own.
func chrome(t *testing.T, width, height int) context.Context {
	t.Helper()
	path := need(t, "chromium", "chromium-browser", "google-chrome")
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(width, height),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 45*time.Second)
	t.Cleanup(cancel)
	// The browser lives as long as this context. No window is as narrow as a phone.
	if err := chromedp.Run(ctx, chromedp.EmulateViewport(int64(width), int64(height))); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// shot saves a screenshot where GATEPOST_TEST_SHOTS names a directory.
func shot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("GATEPOST_TEST_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	run(t, ctx, chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	step, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Run(step, actions...); err != nil {
		var at, text string
		_ = chromedp.Run(ctx, chromedp.Location(&at), chromedp.Text("body", &text, chromedp.ByQuery))
		t.Fatalf("%v\nat %s:\n%s", err, at, text)
	}
}

// onPage waits until the page holds text, however often it is replaced.
func onPage(text string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var found bool // an error means that the target is navigating
			err := chromedp.Evaluate(`document.body !== null && document.body.innerText.includes("`+text+`")`, &found).Do(ctx)
			if err == nil && found {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("no page says %q: %w", text, ctx.Err())
			case <-tick.C:
			}
		}
	})
}

func TestMainJobInABrowser(t *testing.T) {
	t.Parallel()
	for _, size := range []struct {
		name          string
		width, height int
	}{{"desktop", 1280, 900}, {"phone", 390, 844}} {
		t.Run(size.name, func(t *testing.T) {
			t.Parallel()
			d := startDemo(t)
			mainJob(t, d, chrome(t, size.width, size.height), size.name)
		})
	}
}

func mainJob(t *testing.T, d *demo, ctx context.Context, name string) {
	t.Helper()
	alice := d.Users[0]
	run(t, ctx, chromedp.Navigate(d.AppURL), chromedp.WaitVisible(`input[name=identifier]`))
	shot(t, ctx, name+"-1-sign-in")
	run(t, ctx,
		chromedp.SendKeys(`input[name=identifier]`, alice.Identifier),
		chromedp.SendKeys(`input[name=password]`, "not the password\r"),
		chromedp.WaitVisible(`[role=alert]`))
	shot(t, ctx, name+"-2-wrong-password")
	var identifier, alert, at string
	run(t, ctx, chromedp.Value(`input[name=identifier]`, &identifier), chromedp.Text(`[role=alert]`, &alert), chromedp.Location(&at))
	if identifier != alice.Identifier {
		t.Errorf("after a wrong password the identifier field holds %q", identifier)
	}
	if strings.TrimSpace(alert) == "" || !strings.HasPrefix(at, d.BaseURL) {
		t.Errorf("after a wrong password: %q at %s", alert, at)
	}
	run(t, ctx, chromedp.SendKeys(`input[name=password]`, alice.Password+"\r"), onPage("Alice"))
	run(t, ctx, chromedp.Location(&at))
	if !strings.HasPrefix(at, d.AppURL) {
		t.Errorf("signed in at %s, want the app at %s", at, d.AppURL)
	}
	shot(t, ctx, name+"-3-app")
	run(t, ctx, chromedp.Click(`a[href="/.gatepost/sign-out"]`), chromedp.WaitVisible(`form[action="/.gatepost/sign-out"]`))
	run(t, ctx, chromedp.Click(`form[action="/.gatepost/sign-out"] button`), onPage("You are signed out"))
	shot(t, ctx, name+"-4-signed-out")
	run(t, ctx, chromedp.Navigate(d.AppURL), chromedp.WaitVisible(`input[name=identifier]`))
}
