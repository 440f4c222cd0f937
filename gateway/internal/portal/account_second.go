package portal

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// enrolLife is how long a new secret waits for its first code. The sign-in must
// be fresh when the secret is made, not when somebody has found their phone.
const enrolLife = 10 * time.Minute

// identifier is what the person's authenticator app calls the account.
func (x *own) identifier() string {
	if len(x.user.Identifiers) > 0 {
		return x.user.Identifiers[0].Value
	}
	return x.user.ID
}

// sealTOTP seals a new secret with the time at which it is too old, openTOTP
// returns it until then.
func (x *own) sealTOTP(secret string) (string, error) {
	ends := strconv.FormatInt(x.p.Now().Add(enrolLife).Unix(), 10)
	return x.p.Ring.Seal([]byte(secret+" "+ends), x.aad("totp"))
}

func (x *own) openTOTP(sealed string) (string, bool) {
	raw, err := x.p.Ring.Open(sealed, x.aad("totp"))
	if err != nil {
		return "", false
	}
	secret, ends, _ := strings.Cut(string(raw), " ")
	n, err := strconv.ParseInt(ends, 10, 64)
	return secret, err == nil && x.p.Now().Before(time.Unix(n, 0))
}

// totpForm shows a new secret for an authenticator app.
func (x *own) totpForm() error {
	if !x.pooled() || !x.asks(pool.MechanismTOTP) {
		return nothing()
	}
	if x.stale() || x.user.Credential(pool.TypeTOTP) != nil { // the page says what to do
		return web.SeeOther(x.c, x.at(""))
	}
	secret := credential.NewTOTPSecret()
	sealed, err := x.sealTOTP(secret)
	if err != nil {
		return err
	}
	return x.showTOTP(secret, sealed, http.StatusOK, nil)
}

func (x *own) showTOTP(secret, sealed string, status int, errs []page.FieldError) error {
	uri := credential.TOTPURI(x.space.Name, x.identifier(), secret)
	png, err := credential.TOTPImage(uri)
	if err != nil {
		return err
	}
	return x.p.show(x.c, x.space, status, page.EnrolTOTP{
		CSRF: x.p.formToken(x.current), Action: x.at("/totp"), Hidden: []page.Field{{Name: "secret", Value: sealed}},
		PNG: png, URI: uri, Secret: secret, Account: x.identifier(), Errors: errs, CancelURL: x.at(""),
	})
}

// setUpTOTP takes the first code of a new authenticator app and shows recovery
// codes once.
func (x *own) setUpTOTP() error {
	if !x.pooled() || !x.asks(pool.MechanismTOTP) {
		return nothing()
	}
	sealed := x.form.Get("secret")
	secret, ok := x.openTOTP(sealed)
	if !ok {
		return x.show(http.StatusForbidden, []page.FieldError{{Say: "Nothing has changed: setting up the authenticator app took too long. Please start again."}})
	}
	used, ok := credential.CheckTOTP(secret, x.form.Get("totp"), x.p.Now(), 0)
	if !ok {
		return x.showTOTP(secret, sealed, http.StatusUnprocessableEntity, []page.FieldError{{Field: "totp", Say: fieldTOTP}})
	}
	err := x.p.Signin.Users.SetTOTP(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID, secret, pool.CredentialOptions{First: true, Step: used})
	if err != nil {
		return x.again(err)
	}
	return x.newCodes()
}

const fieldTOTP = "This code is not right. Please try the next one that the app shows."

// removeTOTP takes the authenticator app away.
func (x *own) removeTOTP() error {
	if !x.pooled() {
		return nothing()
	}
	if x.stale() {
		return x.tooOld()
	}
	return x.result(x.p.Signin.Users.RemoveTOTP(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID), totpRemoved)
}

// recoveryCodes makes new codes in the place of the old ones.
func (x *own) recoveryCodes() error {
	if !x.pooled() || !signin.HasSecond(&x.owner, &x.user) {
		return nothing()
	}
	if x.stale() {
		return x.tooOld()
	}
	return x.newCodes()
}

// newCodes makes recovery codes and shows them, this once.
func (x *own) newCodes() error {
	codes, err := x.p.Signin.Users.NewRecoveryCodes(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID)
	if err != nil {
		return err
	}
	return x.p.show(x.c, x.space, http.StatusOK, page.RecoveryCodes{
		CSRF: x.p.formToken(x.current), Action: x.at("/recovery-codes/kept"), Account: x.identifier(), Codes: codes,
	})
}

// keptCodes goes on after the codes were shown.
func (x *own) keptCodes() error { return x.done(codesMade) }

// forget lets a browser be asked for a second factor again.
func (x *own) forget() error {
	if !x.pooled() {
		return nothing()
	}
	return x.result(x.p.Signin.MFASessions.End(x.ctx, &x.user, x.form.Get("id")), browserForgot)
}
