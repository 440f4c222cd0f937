package e2e_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var loggedLink = regexp.MustCompile(`link="?(http\S+/setup\?token=[A-Za-z0-9_-]+)`)

// setupLink returns the link for the first set-up, from the log.
func (g *gate) setupLink(t *testing.T) string {
	t.Helper()
	var link string
	eventually(t, "the set-up link in the log", func() error {
		said := loggedLink.FindStringSubmatch(g.out.String())
		if said == nil {
			return fmt.Errorf("the log is\n%s", g.out)
		}
		link = said[1]
		return nil
	})
	return link
}

const operatorPassword = "correct horse battery staple"

func answers(password string) url.Values {
	return url.Values{"tenant": {"Example Ltd"}, "identifier": {"olga@example.com"}, "password": {password}, "repeatPassword": {password}}
}

func TestSetupLink(t *testing.T) {
	t.Parallel()
	g := startServe(t, freeListeners)
	c, link := g.browser(t), g.setupLink(t)
	at, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // mail scanners and previews look at links
		if resp, body := get(t, c, link); resp.StatusCode != http.StatusOK || !strings.Contains(body, `name="repeatPassword"`) {
			t.Fatalf("%d\n%s", resp.StatusCode, body)
		}
	}
	_, page := get(t, c, link)
	for _, refused := range []struct {
		name   string
		change func(url.Values)
		want   string
	}{
		{"weak", func(v url.Values) { v.Set("password", "password1234"); v.Set("repeatPassword", "password1234") }, "too easy to guess"},
		{"short", func(v url.Values) { v.Set("password", "short"); v.Set("repeatPassword", "short") }, "12"},
		{"two passwords", func(v url.Values) { v.Set("repeatPassword", "something else") }, "differ"},
		{"nobody", func(v url.Values) { v.Set("identifier", " ") }, "required"},
	} {
		v := answers(operatorPassword)
		refused.change(v)
		resp, body := submit(t, c, at, page, v)
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `role="alert"`) || !strings.Contains(body, refused.want) {
			t.Errorf("%s: %d\n%s", refused.name, resp.StatusCode, body)
		}
		if strings.Contains(body, v.Get("password")) {
			t.Errorf("%s: the page shows the password", refused.name)
		}
	}
	resp, body := submit(t, c, at, page, answers(operatorPassword))
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s\n%s", resp.StatusCode, resp.Header.Get("Cache-Control"), body)
	}
	g.usesClientFile(t, clientFile(t, body))
	if resp, again := submit(t, c, at, page, answers(operatorPassword)); resp.StatusCode != http.StatusConflict || !strings.Contains(again, "set up already") {
		t.Errorf("a second time: %d\n%s", resp.StatusCode, again)
	}
	if resp, _ := get(t, c, link); resp.StatusCode != http.StatusConflict {
		t.Errorf("the link after its use: %d", resp.StatusCode)
	}
	g.operatorSignsIn(t)
	g.refusesSetup(t)
}

// clientFile returns what the last page wants to be kept.
func clientFile(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, "<pre")
	_, rest, _ = strings.Cut(rest, ">")
	file, _, ok2 := strings.Cut(rest, "</pre>")
	if !ok || !ok2 {
		t.Fatalf("the page shows no file:\n%s", body)
	}
	return html.UnescapeString(file)
}

// usesClientFile: the clients of the file administer what they are for.
func (g *gate) usesClientFile(t *testing.T, raw string) {
	t.Helper()
	var file struct {
		BaseURL  string `json:"base_url"`
		TenantID string `json:"tenant_id"`
		demoClient
		Root demoClient `json:"root"`
	}
	if err := json.Unmarshal([]byte(raw), &file); err != nil || file.BaseURL != g.BaseURL {
		t.Fatalf("%v: %s", err, raw)
	}
	g.Clients = map[string]demoClient{"first": file.demoClient, "root": file.Root}
	token, root := g.clientToken(t, "first"), g.clientToken(t, "root")
	g.api(t, token, http.MethodGet, "/api/admin/"+file.TenantID+"/servers/admin", nil, http.StatusOK, nil)
	g.api(t, token, http.MethodGet, "/api/admin/tenants", nil, http.StatusUnauthorized, nil)
	g.api(t, root, http.MethodGet, "/api/admin/tenants", nil, http.StatusOK, nil)
}

// operatorSignsIn: the first operator reaches the account page.
func (g *gate) operatorSignsIn(t *testing.T) {
	t.Helper()
	c := g.browser(t)
	resp, body := get(t, c, g.BaseURL+"/system/admin/app")
	who := url.Values{"identifier": {"olga@example.com"}, "password": {operatorPassword}}
	resp, body = submit(t, c, resp.Request.URL, body, who)
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/system/admin/app" || !strings.Contains(body, "olga@example.com") {
		t.Fatalf("the operator's sign-in ends with %d at %s:\n%s", resp.StatusCode, resp.Request.URL, body)
	}
}

// refusesSetup: after the set-up every way to it is closed.
func (g *gate) refusesSetup(t *testing.T) {
	t.Helper()
	out, err := g.tool(t, "setup-link", "--config", "gatepost.yaml")
	oneLine(t, out, err, "set up already")
	out, err = g.tool(t, "setup", "--config", "gatepost.yaml", "--client-file", "again.json")
	oneLine(t, out, err, "set up already")
	if _, err := os.Stat(filepath.Join(g.dir, "again.json")); err == nil {
		t.Error("the refused set-up left a client file")
	}
}

func TestSetupWithWrongTokens(t *testing.T) {
	t.Parallel()
	g := startServe(t, freeListeners)
	link := g.setupLink(t)
	_, page := get(t, g.browser(t), link)
	at, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", "x", link[len(link)-10:], strings.Repeat("A", 43)} {
		if resp, body := get(t, g.browser(t), g.BaseURL+"/setup?token="+url.QueryEscape(wrong)); resp.StatusCode != http.StatusNotFound {
			t.Errorf("token %q: %d\n%s", wrong, resp.StatusCode, body)
		}
		v := answers(operatorPassword)
		v.Set("token", wrong)
		if resp, body := submit(t, g.browser(t), at, page, v); resp.StatusCode != http.StatusForbidden {
			t.Errorf("the form with token %q: %d\n%s", wrong, resp.StatusCode, body)
		}
	}
	// Another site cannot send the form even if it knew the link.
	r, err := http.NewRequest(http.MethodPost, g.BaseURL+"/setup", strings.NewReader(answers(operatorPassword).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	g.do(t, r, http.StatusForbidden, nil)

	fresh, err := g.tool(t, "setup-link", "--config", "gatepost.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if resp, _ := get(t, g.browser(t), link); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the link before the new one: %d", resp.StatusCode)
	}
	if resp, body := get(t, g.browser(t), strings.TrimSpace(fresh)); resp.StatusCode != http.StatusOK || !strings.Contains(body, "Set up Gatepost") {
		t.Errorf("the new link: %d\n%s", resp.StatusCode, body)
	}
	g.stop(t)
	out, err := g.tool(t, "setup-link", "--config", "gatepost.yaml")
	oneLine(t, out, err, "no gateway answers", "operator.sock")
	again := startServeIn(t, g.dir, freeListeners)
	if resp, _ := get(t, again.browser(t), again.setupLink(t)); resp.StatusCode != http.StatusOK {
		t.Errorf("the link of the next start: %d", resp.StatusCode)
	}
}

// TestSetupWithoutBrowser: gatepost setup makes an operator and the API clients,
// and writes these down for their owner alone.
func TestSetupWithoutBrowser(t *testing.T) {
	t.Parallel()
	g := startServe(t, freeListeners)
	write(t, filepath.Join(g.dir, "weak"), "password1234\n")
	write(t, filepath.Join(g.dir, "strong"), operatorPassword+"\n")
	args := []string{"setup", "--config", "gatepost.yaml", "--client-file", "client.json", "--tenant", "acme", "--operator", "olga@example.com"}
	out, err := g.tool(t, args...)
	oneLine(t, out, err, "--operator-password-file")
	out, err = g.tool(t, append(args, "--operator-password-file", "weak")...)
	oneLine(t, out, err, "password")
	if out, err = g.tool(t, append(args, "--operator-password-file", "strong")...); err != nil || !strings.Contains(out, "client.json") {
		t.Fatalf("%q %v", out, err)
	}
	path := filepath.Join(g.dir, "client.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the client file: %v, %v", info.Mode(), err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(raw), `"tenant_id": "acme"`) {
		t.Fatalf("%v %s", err, raw)
	}
	g.usesClientFile(t, string(raw))
	g.operatorSignsIn(t)
	g.refusesSetup(t)
	if resp, body := get(t, g.browser(t), g.setupLink(t)); resp.StatusCode != http.StatusConflict {
		t.Errorf("the link of the log after the set-up: %d\n%s", resp.StatusCode, body)
	}
	if out, err = g.tool(t, args...); err == nil {
		t.Errorf("a client file was overwritten: %s", out)
	}
	g.stop(t)
	again := startServeIn(t, g.dir, freeListeners)
	again.operatorSignsIn(t)
	if loggedLink.MatchString(again.out.String()) {
		t.Errorf("a link is offered again:\n%s", again.out)
	}
}

func TestSetupInABrowser(t *testing.T) {
	t.Parallel()
	for _, size := range []struct {
		name          string
		width, height int
	}{{"desktop", 1280, 900}, {"phone", 390, 844}} {
		t.Run(size.name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			ctx := chrome(t, size.width, size.height)
			g := startServe(t, freeListeners, "GATEPOST_BASE_URL=http://localhost:"+port, "GATEPOST_LISTEN__PUBLIC__ADDRESS=127.0.0.1:"+port)
			run(t, ctx, chromedp.Navigate(g.setupLink(t)), chromedp.WaitVisible(`input[name=repeatPassword]`))
			shot(t, ctx, size.name+"-setup-1-form")
			run(t, ctx,
				chromedp.SendKeys(`input[name=identifier]`, "olga@example.com"),
				chromedp.SendKeys(`input[name=password]`, "password1234"),
				chromedp.SendKeys(`input[name=repeatPassword]`, "password1234\r"),
				chromedp.WaitVisible(`[role=alert]`))
			shot(t, ctx, size.name+"-setup-2-weak")
			run(t, ctx,
				chromedp.SendKeys(`input[name=password]`, operatorPassword),
				chromedp.SendKeys(`input[name=repeatPassword]`, operatorPassword+"\r"),
				onPage("Gatepost is set up"))
			shot(t, ctx, size.name+"-setup-3-done")
			var wide bool
			run(t, ctx, chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &wide))
			if wide {
				t.Error("the last page is wider than the window")
			}
			run(t, ctx, chromedp.Click(`a.button.primary`), chromedp.WaitVisible(`input[name=identifier]`))
			shot(t, ctx, size.name+"-setup-4-sign-in")
			run(t, ctx,
				chromedp.SendKeys(`input[name=identifier]`, "olga@example.com"),
				chromedp.SendKeys(`input[name=password]`, operatorPassword+"\r"),
				onPage("Where you are signed in"))
			shot(t, ctx, size.name+"-setup-5-account")
			var at string
			run(t, ctx, chromedp.Location(&at))
			if at != g.BaseURL+"/system/admin/app" {
				t.Errorf("the operator is at %s", at)
			}
		})
	}
}
