package e2e_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// noCooldown lets a person ask for a second message at once.
const noCooldown = "GATEPOST_MESSAGES__LIMITS__COOLDOWN=0s"

// letter is a message that the demo has sent.
type letter struct{ subject, text string }

// letters returns what was sent to an address, oldest first.
func (d *demo) letters(t *testing.T, to string) []letter {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(d.MailDir, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	var list []letter
	for _, name := range names { // they sort by time
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if at, err := mail.ParseAddress(m.Header.Get("To")); err != nil || at.Address != to {
			continue
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, letter{subject, plain(t, m)})
	}
	return list
}

// plain returns the text of a message that has it beside HTML.
func plain(t *testing.T, m *mail.Message) string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var body io.Reader
	switch {
	case strings.HasPrefix(kind, "multipart/"):
		if body, err = multipart.NewReader(m.Body, params["boundary"]).NextPart(); err != nil { // undoes quoted-printable
			t.Fatal(err)
		}
	case m.Header.Get("Content-Transfer-Encoding") == "quoted-printable":
		body = quotedprintable.NewReader(m.Body)
	default:
		body = m.Body
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// letter waits for the nth message to an address, counted from 1.
func (d *demo) letter(t *testing.T, to string, n int) (l letter) {
	t.Helper()
	eventually(t, fmt.Sprintf("message %d to %s", n, to), func() error {
		list := d.letters(t, to)
		if len(list) < n {
			return fmt.Errorf("there are %d", len(list))
		}
		l = list[n-1]
		return nil
	})
	return l
}

var (
	codeInText = regexp.MustCompile(`(?m)\b[0-9]{6,8}\b`)
	linkInText = regexp.MustCompile(`http://localhost:[0-9]+/\S+`)
)

// link is the address that the message asks to open.
func (l letter) link(t *testing.T) string {
	t.Helper()
	found := linkInText.FindString(l.text)
	if found == "" {
		t.Fatalf("no link in:\n%s", l.text)
	}
	return found
}

// code is the code that stands in the message, beside a link or alone.
func (l letter) code(t *testing.T) string {
	t.Helper()
	found := codeInText.FindString(linkInText.ReplaceAllString(l.text, ""))
	if found == "" {
		t.Fatalf("no code in:\n%s", l.text)
	}
	return found
}

// poolPath is an address of the API for the demo's pool.
func (d *demo) poolPath(rest string) string {
	return "/api/identity/" + d.Tenant + "/admin/pools/" + d.PoolID + rest
}

// setPool changes members of the demo's pool.
func (d *demo) setPool(t *testing.T, members map[string]any) {
	t.Helper()
	token := d.clientToken(t, "admin")
	var p map[string]any
	d.api(t, token, http.MethodGet, d.poolPath(""), nil, http.StatusOK, &p)
	maps.Copy(p, members)
	d.api(t, token, http.MethodPut, d.poolPath(""), p, http.StatusOK, nil)
}

// everyWay lets people sign in by password, code and passkey.
func (d *demo) everyWay(t *testing.T) {
	t.Helper()
	d.setPool(t, map[string]any{"authentication_mechanisms": []string{"password", "otp", "webauthn"}, "public_registration_allowed": true})
}

// totp is the code of an authenticator app (RFC 6238: SHA-1, six digits, 30 s),
// some steps from now.
func totp(t *testing.T, secret string, steps int) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.ReplaceAll(secret, " ", "")))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	step := time.Now().Unix()/30 + int64(steps)
	for shift := 56; shift >= 0; shift -= 8 {
		_, _ = mac.Write([]byte{byte(step >> shift)}) // a hash never fails
	}
	sum := mac.Sum(nil)
	var number uint32
	for _, b := range sum[sum[19]&15:][:4] {
		number = number<<8 | uint32(b)
	}
	return fmt.Sprintf("%06d", number&0x7fffffff%1_000_000)
}

// authenticator is a virtual one of a browser, that keeps passkeys and verifies
// its user.
type authenticator struct{ id webauthn.AuthenticatorID }

func newAuthenticator(t *testing.T, ctx context.Context) *authenticator {
	t.Helper()
	a := &authenticator{}
	run(t, ctx, webauthn.Enable(), chromedp.ActionFunc(func(ctx context.Context) (err error) {
		a.id, err = webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
		}).Do(ctx)
		return err
	}))
	return a
}

// touched lets the authenticator answer what is asked from now on, or not. While
// it does, it takes the offer in the field for the identifier at once.
func (a *authenticator) touched(yes bool) chromedp.Action {
	return webauthn.SetAutomaticPresenceSimulation(a.id, yes)
}

// lose forgets every passkey.
func (a *authenticator) lose() chromedp.Action { return webauthn.ClearCredentials(a.id) }

// fill types into an empty input.
func fill(name, text string) chromedp.Action {
	at := `input[name="` + name + `"]:not([type=hidden])`
	return chromedp.Tasks{chromedp.WaitVisible(at), chromedp.Clear(at), chromedp.SendKeys(at, text)}
}

// press clicks the button or link that says this, and comes back when another
// page is there.
func press(text string) chromedp.Action {
	return chromedp.Click(`//main//*[self::button or self::a][contains(normalize-space(.), "`+text+`")]`, chromedp.BySearch, chromedp.NodeVisible)
}

// goOn clicks the button by which a page goes on.
var goOn = chromedp.Click(`main button.primary, main a.primary`, chromedp.NodeVisible)

// shots saves the page as a desktop and a phone show it; see shot.
func shots(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	if os.Getenv("GATEPOST_TEST_SHOTS") == "" {
		return
	}
	run(t, ctx, chromedp.EmulateViewport(390, 844))
	shot(t, ctx, name+"-390")
	run(t, ctx, chromedp.EmulateViewport(1280, 900))
	shot(t, ctx, name+"-1280")
}

// clearCookies makes the browser one that was never here.
func clearCookies(ctx context.Context) error { return network.ClearBrowserCookies().Do(ctx) }
