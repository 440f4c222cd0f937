package portal_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

// es256 is the private key of test passkeys (PKCS #8). Both its coordinates have
// their full length: virtualwebauthn forgets leading zeros.
const es256 = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAeh" +
	"RANCAASOUztvoL97RiW7MGZ8Aftgfvn4uKgP71swBihwMYeyo3PrHb3gMxg2bQafg6b1kABTxzYzywQbIcVeGobB9AC0"

const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

// totp is what an authenticator app shows (RFC 6238).
func totp(t testing.TB, secret string, now time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, now.Unix()/30)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1000000)
}

// call is what webauthn.js does.
func (r *resident) call(to, body string) signintest.Answer {
	r.s.T.Helper()
	return r.Send(http.MethodPost, home+to, body, "Content-Type", "application/json", "X-CSRF-Token", csrf(r.s.T, r.page()))
}

// passkey makes one with a virtual authenticator and returns its id.
func (r *resident) passkey(name string) string {
	t := r.s.T
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(es256)
	r.s.OK(err)
	key := virtualwebauthn.NewCredentialWithImportedKey(virtualwebauthn.KeyTypeEC2, der)
	begun := r.call("/passkeys/begin", `{"identifier":""}`)
	options, err := virtualwebauthn.ParseAttestationOptions(begun.Body)
	if err != nil {
		t.Fatalf("begin: %d %s", begun.Status, begun.Body)
	}
	site := virtualwebauthn.RelyingParty{ID: "id.localhost", Name: "People", Origin: signintest.SiteBase}
	answer := virtualwebauthn.CreateAttestationResponse(site, virtualwebauthn.NewAuthenticator(), key, *options)
	if a := r.call("/passkeys/finish", answer); a.Status != http.StatusOK {
		t.Fatalf("finish: %d %s", a.Status, a.Body)
	}
	if a := r.call("/passkeys/finish", answer); a.Status != http.StatusUnauthorized {
		t.Errorf("finish again: %d %s", a.Status, a.Body)
	}
	r.done("add", r.send("/passkeys", "name", name), "Your passkey is ready.")
	return pool.PasskeyID(key.ID)
}

func (r *resident) keys() []credential.Passkey {
	r.s.T.Helper()
	u := r.s.User(signintest.Alice)
	return u.Passkeys()
}

func TestAccountPasskeys(t *testing.T) {
	t.Parallel()
	r := moveIn(t, everything)
	wantPage(t, "without a passkey", r.send("/passkeys", "name", "Nothing"), http.StatusUnprocessableEntity)
	wantPage(t, "another's challenge", r.Get(home), http.StatusOK)
	if a := r.call("/passkeys/finish", `{}`); a.Status < 400 || a.Status > 499 || !strings.Contains(a.Header.Get("Content-Type"), "json") {
		t.Errorf("nonsense: %d %s", a.Status, a.Body)
	}
	first := r.passkey("My <laptop>")
	if body := r.page(); !strings.Contains(body, "My <laptop>") {
		t.Error("the passkey is not on the page")
	}
	second := r.passkey("") // takes the browser's name
	if got := r.keys(); len(got) != 2 || got[1].Name == "" {
		t.Errorf("%+v", got)
	}
	wantPage(t, "the form again", r.send("/passkeys", "name", "Twice"), http.StatusUnprocessableEntity)
	r.done("rename", r.send("/passkeys/rename", "id", first, "name", "My phone"), "The passkey has its new name.")
	a := r.send("/passkeys/rename", "id", first, "name", strings.Repeat("x", 65))
	wantPage(t, "a long name", a, http.StatusUnprocessableEntity)
	if !strings.Contains(a.Body, "The name of the passkey must have at most 64 characters.") {
		t.Error(a.Body)
	}
	if got := r.keys(); got[0].Name != "My phone" {
		t.Errorf("%+v", got)
	}
	r.done("remove", r.send("/passkeys/remove", "id", second), "The passkey is removed.")
	wantPage(t, "remove again", r.send("/passkeys/remove", "id", second), http.StatusNotFound)
}

// What is another person's is not there.
func TestAccountOfAnother(t *testing.T) {
	t.Parallel()
	r := moveIn(t, everything)
	theirs := r.passkey("Alice's")
	mfa := r.remembered(t, signintest.Alice)
	_, err := r.s.Pools.Users.AddAddress(t.Context(), "default", r.s.Demo.PoolID, r.s.User(signintest.Alice).ID, pool.NewUserVerifiableAddress{
		Type: pool.Email, Address: "alice@example.org", Status: pool.StatusActive,
	})
	r.s.OK(err)
	address := r.s.User(signintest.Alice).Addresses[1].ID
	sessions := hidden(t, r.page(), "session")

	allow(r.s, func(p *pool.Pool) { p.SecondFactorAuthenticationMechanisms = []string{} })
	b := &resident{r.s.Tab(), r.s}
	b.SignIn(b.Begin(), bob, "bob-walks-the-long-wall")
	before := r.s.User(signintest.Alice).Rev
	for to, fields := range map[string][]string{
		"/passkeys/rename": {"id", theirs, "name", "mine"}, "/passkeys/remove": {"id", theirs}, "/remembered": {"id", mfa},
		"/addresses": {"address", "alice@example.org"}, "/address?id=" + address: {"otp", "00000000"},
	} {
		wantPage(t, to, b.send(to, fields...), http.StatusNotFound)
	}
	wantPage(t, "the page for an address", b.Get(home+"/address?id="+address), http.StatusNotFound)
	b.send("/end-session", "session", sessions)
	wantPage(t, "alice", r.Get(home), http.StatusOK)
	if after := r.s.User(signintest.Alice).Rev; after != before || r.s.Mail.Last("alice@example.org").To != "" {
		t.Error("something of alice's was changed")
	}
	if !strings.Contains(r.page(), mfa) {
		t.Error("alice's browser was forgotten")
	}
}

// The last way to sign in stays.
func TestAccountKeepsLastPasskey(t *testing.T) {
	t.Parallel()
	only := func(first, second []string) func(*pool.Pool) {
		return func(p *pool.Pool) {
			p.AuthenticationMechanisms, p.SecondFactorAuthenticationMechanisms = first, second
		}
	}
	const password, code, key, app = pool.MechanismPassword, pool.MechanismOTP, pool.MechanismWebAuthn, pool.MechanismTOTP
	r := moveIn(t, only([]string{password, key}, []string{}))
	k := r.passkey("Mine")
	for name, tc := range map[string]struct {
		first, second []string
		kept          bool
	}{
		"passkeys alone":                    {[]string{key}, []string{}, true},
		"a password is there":               {[]string{key, password}, []string{}, false},
		"codes are":                         {[]string{key, code}, []string{}, false},
		"by SMS, without a phone":           {[]string{key, pool.MechanismSMSOTP}, []string{}, true},
		"the only second factor":            {[]string{key, password}, []string{key}, true},
		"an authenticator app can be had":   {[]string{key, password}, []string{key, app}, false},
		"a code to the verified address is": {[]string{key, password}, []string{key, code}, false},
	} {
		allow(r.s, only(tc.first, tc.second))
		body := r.page()
		if strings.Contains(body, "the last one cannot be removed") != tc.kept || strings.Contains(body, home+"/passkeys/remove") == tc.kept {
			t.Errorf("%s: kept is %t", name, !tc.kept)
		}
		if tc.kept {
			wantPage(t, name, r.send("/passkeys/remove", "id", k), http.StatusUnprocessableEntity)
		}
	}
	if got := r.keys(); len(got) != 1 {
		t.Errorf("%d passkeys", len(got))
	}
	allow(r.s, only([]string{key, password}, []string{}))
	r.done("remove", r.send("/passkeys/remove", "id", k), "The passkey is removed.")
}

func TestAccountAuthenticatorApp(t *testing.T) {
	t.Parallel()
	r := moveIn(t, everything)
	wantPage(t, "recovery codes of nothing", r.send("/recovery-codes"), http.StatusNotFound)
	a := r.Get(home + "/totp")
	wantPage(t, "set-up", a, http.StatusOK)
	sealed, text := hidden(t, a.Body, "secret"), hiddenText(t, a.Body)
	a = r.send("/totp", "secret", sealed, "totp", "12345")
	wantPage(t, "wrong", a, http.StatusUnprocessableEntity)
	if hiddenText(t, a.Body) != text {
		t.Error("a typing mistake changes the secret")
	}
	other := &resident{r.s.Tab(), r.s}
	allow(r.s, func(p *pool.Pool) { p.SecondFactorAuthenticationMechanisms = []string{} })
	signIn(t, other.Tab)
	allow(r.s, everything)
	wantPage(t, "another session's secret", other.send("/totp", "secret", sealed, "totp", totp(t, text, r.s.Now())), http.StatusForbidden)
	r.s.Pass(4*time.Minute + 59*time.Second) // looking for the phone
	a = r.send("/totp", "secret", sealed, "totp", totp(t, text, r.s.Now()))
	wantPage(t, "set up", a, http.StatusOK)
	if n := strings.Count(a.Body, "<li><code>"); n != 10 {
		t.Errorf("%d recovery codes", n)
	}
	r.done("kept", r.send("/recovery-codes/kept", "saved", "true"), "Your new recovery codes are in force.")
	wantOffers(t, "set up", r.page(), "identifiers", "password", "passkeys", "remove totp", "recovery")
	if !strings.Contains(r.page(), "10 codes are left.") {
		t.Error("the page does not count")
	}
	wantPage(t, "twice", r.send("/totp", "secret", sealed, "totp", totp(t, text, r.s.Now())), http.StatusUnprocessableEntity)
	if got := r.Get(home + "/totp"); got.Location().String() != home {
		t.Errorf("the set-up page again: %d", got.Status)
	}
	b := r.send("/recovery-codes")
	wantPage(t, "new codes", b, http.StatusOK)
	if strings.Count(b.Body, "<li><code>") != 10 || b.Body == a.Body {
		t.Error("no new codes")
	}
	r.done("remove", r.send("/totp/remove"), "The authenticator app is removed")
	wantOffers(t, "removed", r.page(), "identifiers", "password", "passkeys", "set up")
	wantPage(t, "remove again", r.send("/totp/remove"), http.StatusNotFound)
}

// hiddenText is the secret that the set-up page shows.
func hiddenText(t testing.TB, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `data-text="`)
	text, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no secret: %s", body)
	}
	return text
}

// A secret waits ten minutes for its first code.
func TestAccountEnrolmentEnds(t *testing.T) {
	t.Parallel()
	r := moveIn(t, everything)
	body := r.Get(home + "/totp").Body
	r.s.Pass(10 * time.Minute)
	wantPage(t, "late", r.send("/totp", "secret", hidden(t, body, "secret"), "totp", totp(t, hiddenText(t, body), r.s.Now())), http.StatusForbidden)
	if u := r.s.User(signintest.Alice); u.Credential(pool.TypeTOTP) != nil {
		t.Error("it was set up")
	}
}

func TestAccountVerifiesAddress(t *testing.T) {
	t.Parallel()
	const next = "alice@example.org"
	r := moveIn(t, nil)
	user := r.s.User(signintest.Alice)
	_, err := r.s.Pools.Users.AddAddress(t.Context(), "default", r.s.Demo.PoolID, user.ID, pool.NewUserVerifiableAddress{
		Type: pool.Email, Address: next, Status: pool.StatusActive,
	})
	r.s.OK(err)
	wantPage(t, "nobody's", r.send("/addresses", "address", "mallory@example.org"), http.StatusNotFound)
	if a := r.send("/addresses", "address", signintest.Alice); a.Location().String() != home {
		t.Errorf("verified already: %d", a.Status)
	}
	a := r.send("/addresses", "address", next)
	to := a.Location().String()
	m := r.s.Mail.Last(next)
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(to, home+"/address?id=") || m.Data.Code == "" || m.Workspace != "default" ||
		!strings.HasPrefix(m.Data.Link, signintest.SiteBase+"/default/identity/") {
		t.Fatalf("%d %s %+v", a.Status, to, m)
	}
	a = r.Get(to)
	wantPage(t, "asks for the code", a, http.StatusOK)
	token := csrf(t, a.Body)
	post := func(fields url.Values) signintest.Answer {
		fields.Set("csrf_token", token)
		return r.Post(to, fields)
	}
	wantPage(t, "wrong", post(url.Values{"otp": {"00000000"}}), http.StatusUnauthorized)
	a = post(url.Values{"action": {"send_otp"}})
	wantPage(t, "again", a, http.StatusOK)
	if !strings.Contains(a.Body, "Another message is on its way") || r.s.Mail.Last(next).Data.Code == m.Data.Code {
		t.Error("no other code")
	}
	r.done("verified", post(url.Values{"otp": {" " + r.s.Mail.Last(next).Data.Code + " "}}), "Your address is verified.")
	if got := r.s.User(signintest.Alice).Addresses[1]; !got.Verified {
		t.Errorf("%+v", got)
	}
	if a := r.Get(to); a.Location().String() != home {
		t.Errorf("the page afterwards: %d", a.Status)
	}
}

// remembered lets a browser of a user pass without a second factor.
func (r *resident) remembered(t testing.TB, who string) string {
	t.Helper()
	allow(r.s, func(p *pool.Pool) { p.MFASessionTTL = 1e9 * 3600 })
	u := r.s.User(who)
	ctx := audit.With(t.Context(), audit.Meta{IP: netip.MustParseAddr("203.0.113.9").String(), UserAgent: "Mozilla/5.0 (Android 14) Firefox/140.0"})
	_, m, err := r.s.Pools.MFASessions.Begin(ctx, &u)
	r.s.OK(err)
	return m.ID
}

func TestAccountForgetsBrowser(t *testing.T) {
	t.Parallel()
	r := moveIn(t, everything)
	id := r.remembered(t, signintest.Alice)
	body := r.page()
	if !strings.Contains(body, "Firefox on Android") || !strings.Contains(body, "203.0.113.9") {
		t.Fatal("the browser is not on the page")
	}
	r.s.Pass(6 * time.Minute) // to trust less needs no fresh sign-in
	r.done("forget", r.send("/remembered", "id", id), "The browser is forgotten")
	wantPage(t, "again", r.send("/remembered", "id", id), http.StatusNotFound)
	if strings.Contains(r.page(), "203.0.113.9") {
		t.Error("it is still there")
	}
}

// What the notice cookie says comes from us, for this session, once.
func TestAccountNotice(t *testing.T) {
	t.Parallel()
	r := moveIn(t, nil)
	a := r.send("/recovery-codes/kept")
	var cookie string
	for _, c := range a.Header.Values("Set-Cookie") {
		if strings.HasPrefix(c, "gp-notice=") {
			cookie, _, _ = strings.Cut(c, ";")
		}
	}
	if cookie == "" || strings.Contains(cookie, "recovery") {
		t.Fatalf("%v", a.Header)
	}
	other := &resident{r.s.Tab(), r.s}
	signIn(t, other.Tab)
	if got := other.Get(home, "Cookie", cookie); strings.Contains(got.Body, "in force") {
		t.Error("another session shows it")
	}
	if got := other.Get(home + "?notice=call+555"); got.Location().String() != home {
		t.Errorf("%d", got.Status)
	}
}
