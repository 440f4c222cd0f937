package credential_test

import (
	"bytes"
	"encoding/base32"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/pquerna/otp"
)

// rfcSecret is the one of RFC 6238, appendix B.
var rfcSecret = base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))

// rfcCodes are the last six of the eight digits there.
var rfcCodes = []struct {
	at   int64
	code string
}{
	{59, "287082"},
	{1111111109, "081804"},
	{1111111111, "050471"},
	{1234567890, "005924"},
	{2000000000, "279037"},
	{20000000000, "353130"},
}

func TestTOTPKnownAnswers(t *testing.T) {
	t.Parallel()
	for _, tc := range rfcCodes {
		step, ok := credential.CheckTOTP(rfcSecret, tc.code, time.Unix(tc.at, 0), 0)
		if !ok || step != tc.at/30 {
			t.Errorf("%s at %d: step %d, %v", tc.code, tc.at, step, ok)
		}
	}
}

func TestCheckTOTP(t *testing.T) {
	t.Parallel()
	const step, code = 1111111111 / 30, "050471"
	at := func(steps int64) time.Time { return time.Unix((step+steps)*30, 0) }
	for _, tc := range []struct {
		name   string
		secret string
		code   string
		now    time.Time
		after  int64
		ok     bool
	}{
		{"now", rfcSecret, code, at(0), 0, true},
		{"last second", rfcSecret, code, at(1).Add(-time.Second), 0, true},
		{"one step late", rfcSecret, code, at(1), 0, true},
		{"one step early", rfcSecret, code, at(-1), 0, true},
		{"two steps late", rfcSecret, code, at(2), 0, false},
		{"two steps early", rfcSecret, code, at(-2), 0, false},
		{"after the step before", rfcSecret, code, at(0), step - 1, true},
		{"used", rfcSecret, code, at(0), step, false},
		{"used, a step later", rfcSecret, code, at(1), step, false},
		{"a later one was used", rfcSecret, code, at(0), step + 1, false},
		{"wrong", rfcSecret, "050472", at(0), 0, false},
		{"eight digits", rfcSecret, "14050471", at(0), 0, false},
		{"without the zero", rfcSecret, "50471", at(0), 0, false},
		{"other digits", rfcSecret, "٠٥٠٤٧١", at(0), 0, false},
		{"empty", rfcSecret, "", at(0), 0, false},
		{"long", rfcSecret, strings.Repeat("0", 1<<16), at(0), 0, false},
		{"secret that is none", "1", code, at(0), 0, false},
		{"secret that is none, empty code", "1", "", at(0), 0, false},
		{"before 1970", rfcSecret, code, time.Unix(-1000, 0), 0, false},
	} {
		got, ok := credential.CheckTOTP(tc.secret, tc.code, tc.now, tc.after)
		if ok != tc.ok || ok && got != step || !ok && got != 0 {
			t.Errorf("%s: step %d, %v", tc.name, got, ok)
		}
	}
}

func TestTOTPSecret(t *testing.T) {
	t.Parallel()
	a, b := credential.NewTOTPSecret(), credential.NewTOTPSecret()
	if raw, err := base32.StdEncoding.DecodeString(a); err != nil || len(raw) != 20 || a == b || len(a) != 32 {
		t.Errorf("%q and %q are no secrets of 160 bits: %v", a, b, err)
	}
	for _, in := range []string{a, strings.ToLower(a), a[:4] + " " + a[4:8] + "-" + a[8:], a + "====", a + "\n"} {
		if got, err := credential.ParseTOTPSecret("totp_secret", in); got != a || err != nil {
			t.Errorf("ParseTOTPSecret(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "AAAA", "GEZDGNBVGY3TQ", a[:31] + "1", a[:31] + "ą", strings.Repeat("A", 104), strings.Repeat(" ", 1<<20)} {
		_, err := credential.ParseTOTPSecret("totp_secret", in)
		if !fault.Is(err, fault.Unprocessable) || fault.Read(err).Field != "totp_secret" {
			t.Errorf("ParseTOTPSecret(%.20q): %v", in, err)
		}
	}
}

func TestTOTPURI(t *testing.T) {
	t.Parallel()
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	const tail = "&algorithm=SHA1&digits=6&period=30"
	for _, tc := range []struct{ issuer, account, want string }{
		{"Example", "alice@example.com", "otpauth://totp/Example:alice%40example.com?secret=" + secret + "&issuer=Example" + tail},
		{"Zażółć Ltd", "a b+c", "otpauth://totp/Za%C5%BC%C3%B3%C5%82%C4%87%20Ltd:a%20b%2Bc?secret=" + secret + "&issuer=Za%C5%BC%C3%B3%C5%82%C4%87%20Ltd" + tail},
		{"", "alice", "otpauth://totp/alice?secret=" + secret + tail},
		{"A:B", "x&secret=y?/#", "otpauth://totp/A%20B:x%26secret%3Dy%3F%2F%23?secret=" + secret + "&issuer=A%20B" + tail},
	} {
		got := credential.TOTPURI(tc.issuer, tc.account, secret)
		if got != tc.want {
			t.Errorf("TOTPURI(%q, %q) = %s", tc.issuer, tc.account, got)
		}
		key, err := otp.NewKeyFromURL(got)
		if err != nil || key.Secret() != secret || key.AccountName() != tc.account || key.Issuer() != strings.ReplaceAll(tc.issuer, ":", " ") {
			t.Errorf("%s reads as issuer %q, account %q, secret %q, %v", got, key.Issuer(), key.AccountName(), key.Secret(), err)
		}
		if u, err := url.Parse(got); err != nil || len(u.Query()["secret"]) != 1 {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestTOTPImage(t *testing.T) {
	t.Parallel()
	b, err := credential.TOTPImage(credential.TOTPURI("Example", "alice@example.com", rfcSecret))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil || img.Bounds().Dx() != 320 || img.Bounds().Dy() != 320 {
		t.Errorf("an image of %v, %v", img.Bounds(), err)
	}
	dark := 0
	for x := range 320 {
		for y := range 320 {
			if r, _, _, _ := img.At(x, y).RGBA(); r == 0 {
				dark++
			}
		}
	}
	if dark < 320*320/5 || dark > 320*320*4/5 {
		t.Errorf("%d dark pixels", dark)
	}
	for _, uri := range []string{"otpauth://totp/" + strings.Repeat("a", 2000), ":"} {
		if _, err := credential.TOTPImage(uri); err == nil {
			t.Errorf("TOTPImage(%.30q) gives an image", uri)
		}
	}
}
