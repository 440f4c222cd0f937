package pool_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// shows is what an authenticator app shows now (RFC 4226, section 5.3).
func (w *world) shows(secret string) string {
	w.t.Helper()
	key := must[[]byte](w.t)(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret))
	h := hmac.New(sha1.New, key)
	_ = binary.Write(h, binary.BigEndian, w.Now().Unix()/30)
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

func TestTOTP(t *testing.T) {
	t.Parallel()
	w, _, a, held := gated(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.user("p", `"id":"anna"`)
	secret, next := credential.NewTOTPSecret(), credential.NewTOTPSecret()
	set := func(secret string, o pool.CredentialOptions) error {
		return w.Users.SetTOTP(ctx, tenantID, "p", "anna", secret, o)
	}
	check := func(user, code string, want bool) {
		t.Helper()
		if ok, err := w.Users.CheckTOTP(ctx, tenantID, "p", user, code); ok != want || err != nil {
			t.Errorf("%s %s: %v, %v", user, code, ok, err)
		}
	}
	check("anna", w.shows(secret), false) // there is none yet
	wants(t, "no secret", set("x", pool.CredentialOptions{}), fault.Unprocessable, "new_totp_secret")
	w.told()
	if err := set(strings.ToLower(secret), pool.CredentialOptions{First: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"user p/anna", "totp_reset_completed"}, w.told()); diff != "" {
		t.Error(diff)
	}
	wants(t, "a second first", set(next, pool.CredentialOptions{First: true, Field: "totp"}), fault.Unprocessable, "totp")
	a.told()
	*held = nil
	code := w.shows(secret)
	check("anna", "000000x", false)
	check("anna", code, true)
	check("anna", code, false) // once
	check("nobody", code, false)
	if diff := cmp.Diff([]string{"take t mfa p/anna", "take t mfa p/anna", "clear t mfa p/anna", "take t mfa p/anna", "take t mfa p/?nobody"}, a.told()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"otp_rejected", "otp_accepted", "otp_rejected"}, w.told()); diff != "" {
		t.Error(diff)
	}
	if len(*held) != 3 {
		t.Errorf("held %v", *held)
	}
	w.advance(30 * time.Second)
	check("anna", w.shows(secret), true)
	if err := set(next, pool.CredentialOptions{}); err != nil {
		t.Fatal(err)
	}
	check("anna", w.shows(secret), false)
	check("anna", w.shows(next), true)
	a.refuse = errors.New("too many")
	w.advance(30 * time.Second)
	if _, err := w.Users.CheckTOTP(ctx, tenantID, "p", "anna", w.shows(next)); !errors.Is(err, a.refuse) {
		t.Error(err)
	}
	a.refuse = nil
	away := errors.New("wrong code")
	if err := set(secret, pool.CredentialOptions{Spend: func(context.Context) error { return away }}); !errors.Is(err, away) {
		t.Error(err)
	}
	check("anna", w.shows(next), true)
}

func TestRemoveTOTP(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.user("p", `"id":"anna","credentials":[{"type":"totp","totp_secret":"`+credential.NewTOTPSecret()+`"}]`)
	_ = must[[]string](t)(w.Users.NewRecoveryCodes(ctx, tenantID, "p", "anna"))
	if err := w.Users.RemoveTOTP(ctx, tenantID, "p", "anna"); err != nil {
		t.Fatal(err)
	}
	u := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna"))
	if len(u.Credentials) != 0 {
		t.Errorf("left %+v", u.Credentials)
	}
	wants(t, "again", w.Users.RemoveTOTP(ctx, tenantID, "p", "anna"), fault.NotFound, "")
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.user("p", `"id":"anna"`)
	w.user("p", `"id":"bob"`)
	use := func(user, code string, want bool) {
		t.Helper()
		if ok, err := w.Users.UseRecoveryCode(ctx, tenantID, "p", user, code); ok != want || err != nil {
			t.Errorf("%s %s: %v, %v", user, code, ok, err)
		}
	}
	old := must[[]string](t)(w.Users.NewRecoveryCodes(ctx, tenantID, "p", "anna"))
	codes := must[[]string](t)(w.Users.NewRecoveryCodes(ctx, tenantID, "p", "anna"))
	seen := map[string]bool{}
	for _, c := range codes {
		if !regexp.MustCompile(`^[a-z2-7]{5}-[a-z2-7]{5}$`).MatchString(c) || seen[c] {
			t.Errorf("code %q", c)
		}
		seen[c] = true
	}
	u := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna"))
	if len(codes) != 10 || u.RecoveryCodes() != 10 {
		t.Errorf("%d codes, %d kept", len(codes), u.RecoveryCodes())
	}
	if len(u.WithData().Credentials) != 0 {
		t.Errorf("the wire shows %+v", u.WithData().Credentials)
	}
	if stored := encode(t, u); strings.Contains(stored, strings.ReplaceAll(codes[0], "-", "")) || strings.Contains(stored, codes[0]) {
		t.Error("a code is stored")
	}
	use("anna", old[0], false)
	use("bob", codes[0], false)
	use("anna", "", false)
	use("anna", codes[0], true)
	use("anna", codes[0], false)
	use("anna", " "+strings.ToUpper(strings.ReplaceAll(codes[1], "-", " - ")), true)
	var won int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			ok, err := w.Users.UseRecoveryCode(ctx, tenantID, "p", "anna", codes[2])
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if ok {
				won++
			}
		})
	}
	wg.Wait()
	u = must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna"))
	if won != 1 || u.RecoveryCodes() != 7 {
		t.Errorf("%d uses, %d left", won, u.RecoveryCodes())
	}
}

// TestTOTPRace lets many try one code at the same moment: it is good once.
func TestTOTPRace(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	secret := credential.NewTOTPSecret()
	w.user("p", `"id":"anna","credentials":[{"type":"totp","totp_secret":"`+secret+`"}]`)
	code := w.shows(secret)
	got := make([]bool, 30)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = w.Users.CheckTOTP(t.Context(), tenantID, "p", "anna", code); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	won := 0
	for _, ok := range got {
		if ok {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d times", won)
	}
}

func TestMFASessions(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := audit.With(t.Context(), audit.Meta{IP: "192.0.2.7", UserAgent: "browser"})
	w.pool("p", func(in *pool.Input) { in.MFASessionTTL = store.Duration(time.Hour) })
	w.pool("never", nil)
	u := w.user("p", `"id":"anna",`+password("old"))
	bob := w.user("p", `"id":"bob"`)
	begin := func(u *pool.User) (string, pool.MFASession) {
		t.Helper()
		secret, m, err := w.MFASessions.Begin(ctx, u)
		if err != nil {
			t.Fatal(err)
		}
		return secret, m
	}
	holds := func(what string, u *pool.User, want string, secrets ...string) {
		t.Helper()
		m, ok, err := w.MFASessions.Check(ctx, tenantID, u.PoolID, u.ID, u.Epoch, secrets)
		if err != nil || ok != (want != "") || m.ID != want {
			t.Errorf("%s: %q %v %v", what, m.ID, ok, err)
		}
	}
	other := w.user("never", `"id":"anna"`)
	if secret, m, err := w.MFASessions.Begin(ctx, &other); secret != "" || m.ID != "" || err != nil {
		t.Errorf("without a TTL: %q %+v %v", secret, m, err)
	}
	secret, m := begin(&u)
	second, m2 := begin(&u)
	if got := m.View(); got != (pool.UserMFASession{ID: m.ID, IPAddress: "192.0.2.7", IssueTime: w.Now(), UserAgent: "browser"}) {
		t.Errorf("%+v", got)
	}
	holds("its browser", &u, m.ID, "x", "a.b", secret)
	holds("no secret", &u, "")
	holds("the id alone", &u, "", m.ID, m.ID+".")
	holds("somebody else", &bob, "", secret)
	holds("the eleventh", &u, "", append(make([]string, 10), secret)...)
	again := u
	again.Epoch = "another life"
	holds("another life", &again, "", secret)
	if list, err := w.MFASessions.List(ctx, &u); err != nil || len(list) != 2 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	wants(t, "end somebody else's", w.MFASessions.End(ctx, &bob, m.ID), fault.NotFound, "")
	if err := w.MFASessions.End(ctx, &u, m.ID); err != nil {
		t.Fatal(err)
	}
	holds("ended", &u, "", secret)
	holds("the other", &u, m2.ID, second)
	w.advance(time.Hour)
	holds("too old", &u, "", second)
	if err := w.Users.SetTOTP(ctx, tenantID, "p", "anna", credential.NewTOTPSecret(), pool.CredentialOptions{}); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"new password": func() error {
			return w.Users.SetPassword(ctx, tenantID, "p", "anna", "new", pool.SetOptions{KeepSessions: true})
		},
		"another authenticator app": func() error {
			return w.Users.SetTOTP(ctx, tenantID, "p", "anna", credential.NewTOTPSecret(), pool.CredentialOptions{})
		},
		"no authenticator app": func() error { return w.Users.RemoveTOTP(ctx, tenantID, "p", "anna") },
		"status": func() error {
			_, err := w.Users.Update(ctx, tenantID, "p", "anna", 0, pool.UpdateUser{Status: pool.StatusInactive})
			return err
		},
	} {
		secret, m := begin(&u)
		bobs, bobsM := begin(&bob)
		holds(what+", before", &u, m.ID, secret)
		if err := do(); err != nil {
			t.Fatal(err)
		}
		holds(what, &u, "", secret)
		holds(what+", bob", &bob, bobsM.ID, bobs)
	}
	begin(&u)
	begin(&bob)
	if err := w.Users.Delete(ctx, tenantID, "p", "anna", 0); err != nil {
		t.Fatal(err)
	}
	if list, err := w.MFASessions.List(ctx, &u); err != nil || len(list) != 0 {
		t.Errorf("after the deletion: %d sessions, %v", len(list), err)
	}
	if err := w.Pools.Delete(ctx, tenantID, "p", 0); err != nil {
		t.Fatal(err)
	}
	if list, err := w.MFASessions.List(ctx, &bob); err != nil || len(list) != 0 {
		t.Errorf("after the pool's: %d sessions, %v", len(list), err)
	}
}
