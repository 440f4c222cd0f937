package credential

import (
	"bytes"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"image/png"
	"net/url"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// The parameters of time-based codes (RFC 6238), which authenticator apps know
// without being told: HMAC-SHA-1, six digits, half a minute.
const (
	totpDigits  = 6
	totpPeriod  = 30 // seconds
	totpSecret  = 20 // bytes, as RFC 4226, 4 recommends
	totpLeast   = 10 // bytes of a secret that comes from elsewhere
	totpMost    = 64
	totpImage   = 320 // pixels
	totpURIMost = 1024
)

var totpBase32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewTOTPSecret returns a random secret of 160 bits, in base32 without padding.
func NewTOTPSecret() string { return totpBase32.EncodeToString(random(totpSecret)) }

// ParseTOTPSecret reads a secret as people and programs write it, in base32 of
// either case, with blanks, hyphens or padding, and returns it in the form of
// NewTOTPSecret. field is the member of the body it stood in, for the fault
// (Unprocessable): the contract's examples have 32 characters; below 16 a secret
// could be guessed from a few codes.
func ParseTOTPSecret(field, s string) (string, error) {
	if len(s) <= 4*totpMost {
		s = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(s))
		b, err := totpBase32.DecodeString(strings.TrimRight(s, "="))
		if err == nil && len(b) >= totpLeast && len(b) <= totpMost {
			return totpBase32.EncodeToString(b), nil
		}
	}
	return "", fault.At(fault.Unprocessable, field, fmt.Sprintf("A TOTP secret is %d to %d bytes in base32.", totpLeast, totpMost))
}

// TOTPURI returns the address that authenticator apps read, in the Key URI
// format: otpauth://totp/issuer:account?secret=...&issuer=...
func TOTPURI(issuer, account, secret string) string {
	issuer = strings.ReplaceAll(issuer, ":", " ") // even escaped it would end the issuer in the label
	label, query := escape(account), "?secret="+escape(secret)
	if issuer != "" {
		label, query = escape(issuer)+":"+label, query+"&issuer="+escape(issuer)
	}
	return fmt.Sprintf("otpauth://totp/%s%s&algorithm=SHA1&digits=%d&period=%d", label, query, totpDigits, totpPeriod)
}

// escape leaves nothing that ends a part of a URI. Apps show "+" as it is, so
// blanks become %20.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// TOTPImage returns the QR code of a URI of TOTPURI, as PNG.
func TOTPImage(uri string) ([]byte, error) {
	if len(uri) > totpURIMost {
		return nil, fmt.Errorf("a TOTP URI of %d bytes", len(uri))
	}
	key, err := otp.NewKeyFromURL(uri)
	if err != nil {
		return nil, fmt.Errorf("TOTP URI: %w", err)
	}
	img, err := key.Image(totpImage, totpImage)
	if err != nil {
		return nil, fmt.Errorf("QR code: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("QR code: %w", err)
	}
	return b.Bytes(), nil
}

// CheckTOTP tells whether code is the one of now, of the step before (a slow
// hand) or of the step after (a fast clock), and which step it belongs to. Only
// steps later than after count, so a code is good once when the caller keeps the
// step of the last one (RFC 6238, 5.2); after is 0 at first. The time it takes
// does not depend on the code.
func CheckTOTP(secret, code string, now time.Time, after int64) (step int64, ok bool) {
	present := now.Unix() / totpPeriod
	for s := present - 1; s <= present+1; s++ {
		if s < 0 {
			continue
		}
		want, err := hotp.GenerateCodeCustom(secret, uint64(s), hotp.ValidateOpts{Digits: totpDigits, Algorithm: otp.AlgorithmSHA1})
		same := err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1
		if same && s > after {
			step, ok = s, true // of two steps with the same code the later, which spends both
		}
	}
	return step, ok
}
