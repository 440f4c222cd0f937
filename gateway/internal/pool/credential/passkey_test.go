package credential_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/google/go-cmp/cmp"
)

var (
	party     = credential.RelyingParty{ID: "example.com", Name: "Example", Origins: []string{"https://login.example.com", "https://shop.example.net:8443"}}
	alice     = credential.PasskeyUser{Handle: []byte("handle of alice, 32 bytes long.."), Name: "alice@example.com", DisplayName: "Alice Liddell"}
	challenge = []byte("a challenge of thirty-two bytes!")
)

// browser is a browser with an authenticator that may lie in every respect.
type browser struct {
	site virtualwebauthn.RelyingParty
	auth virtualwebauthn.Authenticator
	key  virtualwebauthn.Credential
}

// es256 is the private key of test passkeys (PKCS #8). Both its coordinates have
// their full length: virtualwebauthn forgets leading zeros.
const es256 = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAeh" +
	"RANCAASOUztvoL97RiW7MGZ8Aftgfvn4uKgP71swBihwMYeyo3PrHb3gMxg2bQafg6b1kABTxzYzywQbIcVeGobB9AC0"

func newBrowser(t testing.TB) *browser {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(es256)
	if err != nil {
		t.Fatal(err)
	}
	return withKey(virtualwebauthn.NewCredentialWithImportedKey(virtualwebauthn.KeyTypeEC2, der))
}

func withKey(key virtualwebauthn.Credential) *browser {
	b := &browser{
		site: virtualwebauthn.RelyingParty{ID: party.ID, Name: party.Name, Origin: party.Origins[0]},
		auth: virtualwebauthn.NewAuthenticator(),
		key:  key,
	}
	b.auth.Options.UserHandle = alice.Handle
	return b
}

func (b *browser) creation(t testing.TB) []byte {
	t.Helper()
	options, err := party.CreationOptions(alice, nil, challenge)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(virtualwebauthn.CreateAttestationResponse(b.site, b.auth, b.key, *parsed))
}

func (b *browser) register(t testing.TB) credential.Passkey {
	t.Helper()
	p, err := party.Create(alice, challenge, b.creation(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *browser) assertion(t testing.TB) []byte {
	t.Helper()
	options, err := party.RequestOptions(nil, challenge)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(virtualwebauthn.CreateAssertionResponse(b.site, b.auth, b.key, *parsed))
}

func verify(p credential.Passkey, response []byte) (credential.Passkey, bool, error) {
	a, err := credential.ParseAssertion(response)
	if err != nil {
		return credential.Passkey{}, false, err
	}
	return party.Verify(alice, p, challenge, a)
}

func TestPasskey(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]*browser{
		"ES256": newBrowser(t),
		"RS256": withKey(virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeRSA)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b.auth.Options.BackupEligible = true
			p := b.register(t)
			want := credential.Passkey{
				ID: b.key.ID, PublicKey: b.key.Key.AttestationData(), RPID: "example.com", Purpose: credential.Passwordless,
				AAGUID: b.auth.Aaguid[:], AttestationType: "basic_surrogate", UserPresent: true, UserVerified: true, BackupEligible: true,
			}
			if diff := cmp.Diff(want, p); diff != "" {
				t.Fatalf("registered (-want +got):\n%s", diff)
			}
			b.auth.Options.BackupState = true
			b.site.Origin = party.Origins[1]
			used, cloned, err := verify(p, b.assertion(t))
			want.BackupState = true
			if diff := cmp.Diff(want, used); diff != "" || cloned || err != nil {
				t.Errorf("used, cloned %v, %v (-want +got):\n%s", cloned, err, diff)
			}
			b.auth.Options.UserHandle = nil
			if _, _, err := verify(p, b.assertion(t)); err != nil {
				t.Errorf("without a user handle: %v", err)
			}
		})
	}
}

func TestCeremonyParts(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	got, err := credential.ParseCreation(b.creation(t))
	if err != nil || !bytes.Equal(got, challenge) {
		t.Errorf("ParseCreation = %q, %v", got, err)
	}
	a, err := credential.ParseAssertion(b.assertion(t))
	if err != nil || !bytes.Equal(a.Challenge, challenge) || !bytes.Equal(a.CredentialID, b.key.ID) || !bytes.Equal(a.UserHandle, alice.Handle) {
		t.Errorf("ParseAssertion = %q %q %q, %v", a.Challenge, a.CredentialID, a.UserHandle, err)
	}
}

// lies are what both ceremonies refuse.
var lies = map[string]func(*browser){
	"wrong origin":            func(b *browser) { b.site.Origin = "https://example.com.evil.net" },
	"parent's origin":         func(b *browser) { b.site.Origin = "https://example.com" },
	"origin in capitals":      func(b *browser) { b.site.Origin = "https://LOGIN.example.com" },
	"origin with a path":      func(b *browser) { b.site.Origin = "https://login.example.com/" },
	"origin of another port":  func(b *browser) { b.site.Origin = "https://login.example.com:444" },
	"origin without TLS":      func(b *browser) { b.site.Origin = "http://login.example.com" },
	"no origin":               func(b *browser) { b.site.Origin = "" },
	"wrong RP ID":             func(b *browser) { b.site.ID = "evil.net" },
	"RP ID of the subdomain":  func(b *browser) { b.site.ID = "login.example.com" },
	"user not verified":       func(b *browser) { b.auth.Options.UserNotVerified = true },
	"user not present":        func(b *browser) { b.auth.Options.UserNotPresent = true },
	"backed up, not eligible": func(b *browser) { b.auth.Options.BackupState = true },
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t)
			p := b.register(t)
			lie(b)
			_, _, err := verify(p, b.assertion(t))
			refused(t, err, fault.Unauthenticated)
		})
	}
	for name, change := range map[string]func(*credential.Passkey, *credential.PasskeyUser, *[]byte){
		"another challenge":        func(_ *credential.Passkey, _ *credential.PasskeyUser, c *[]byte) { *c = bytes.Repeat([]byte("x"), 32) },
		"a short challenge":        func(_ *credential.Passkey, _ *credential.PasskeyUser, c *[]byte) { *c = challenge[:31] },
		"no challenge":             func(_ *credential.Passkey, _ *credential.PasskeyUser, c *[]byte) { *c = nil },
		"another user":             func(_ *credential.Passkey, u *credential.PasskeyUser, _ *[]byte) { u.Handle = []byte("bob") },
		"another passkey":          func(p *credential.Passkey, _ *credential.PasskeyUser, _ *[]byte) { p.ID = []byte("other") },
		"another domain's passkey": func(p *credential.Passkey, _ *credential.PasskeyUser, _ *[]byte) { p.RPID = "example.net" },
		"another eligibility":      func(p *credential.Passkey, _ *credential.PasskeyUser, _ *[]byte) { p.BackupEligible = true },
		"no public key":            func(p *credential.Passkey, _ *credential.PasskeyUser, _ *[]byte) { p.PublicKey = nil },
		"a damaged public key":     func(p *credential.Passkey, _ *credential.PasskeyUser, _ *[]byte) { p.PublicKey = p.PublicKey[:40] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t)
			p, u, c := b.register(t), alice, challenge
			a, err := credential.ParseAssertion(b.assertion(t))
			if err != nil {
				t.Fatal(err)
			}
			change(&p, &u, &c)
			used, _, err := party.Verify(u, p, c, a)
			refused(t, err, fault.Unauthenticated)
			if used.ID != nil {
				t.Error("a passkey comes with the refusal")
			}
		})
	}
	p := newBrowser(t).register(t)
	_, _, err := party.Verify(alice, p, challenge, credential.Assertion{CredentialID: p.ID, Challenge: challenge})
	refused(t, err, fault.Unauthenticated)
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t)
			lie(b)
			_, err := party.Create(alice, challenge, b.creation(t))
			refused(t, err, fault.Unprocessable)
		})
	}
	b := newBrowser(t)
	for _, c := range [][]byte{nil, challenge[:31], bytes.Repeat([]byte("x"), 32)} {
		_, err := party.Create(alice, c, b.creation(t))
		refused(t, err, fault.Unprocessable)
	}
	_, err := party.Create(alice, challenge, b.assertion(t))
	refused(t, err, fault.Unprocessable)
	_, err = credential.ParseAssertion(b.creation(t))
	refused(t, err, fault.Unauthenticated)
}

// TestTampered changes one member of good answers at a time.
func TestTampered(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	p := b.register(t)
	good := b.assertion(t)
	for _, member := range []string{"signature", "authenticatorData", "clientDataJSON", "userHandle"} {
		for _, i := range []int{0, 5, 36, 70} {
			var doc map[string]any
			if err := json.Unmarshal(good, &doc); err != nil {
				t.Fatal(err)
			}
			response := doc["response"].(map[string]any)
			raw, err := base64.RawURLEncoding.DecodeString(response[member].(string))
			if err != nil {
				t.Fatal(err)
			}
			if i >= len(raw) {
				continue
			}
			raw[i] ^= 1
			response[member] = base64.RawURLEncoding.EncodeToString(raw)
			_, _, err = verify(p, encode(t, doc))
			refused(t, err, fault.Unauthenticated)
		}
	}
	if _, _, err := verify(p, good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	p := b.register(t)
	for _, good := range [][]byte{b.assertion(t), b.creation(t)} {
		bad := [][]byte{nil, []byte("{}"), []byte("null"), []byte("[]"), []byte(`""`), append(bytes.Clone(good), good...), append(bytes.Repeat([]byte(" "), 64<<10), good...), []byte(strings.Repeat("[", 60000))}
		for cut := 1; cut < len(good); cut += 7 {
			bad = append(bad, good[:cut])
		}
		for _, response := range bad {
			_, _, err := verify(p, response)
			refused(t, err, fault.Unauthenticated)
			_, err = credential.ParseCreation(response)
			refused(t, err, fault.Unprocessable)
			_, err = party.Create(alice, challenge, response)
			refused(t, err, fault.Unprocessable)
		}
	}
}

func TestSignCount(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	b.key.Counter = 5
	p := b.register(t)
	for i, tc := range []struct {
		counter, want   uint32
		cloned, warning bool
	}{
		{6, 6, false, false},
		{900, 900, false, false},
		{900, 900, true, true},
		{7, 900, true, true},
		{0, 900, true, true},
		{901, 901, false, true}, // the warning of the record stays
	} {
		b.key.Counter = tc.counter
		used, cloned, err := verify(p, b.assertion(t))
		if err != nil || cloned != tc.cloned || used.SignCount != tc.want || used.CloneWarning != tc.warning {
			t.Errorf("step %d: count %d, cloned %v, warning %v, %v", i, used.SignCount, cloned, used.CloneWarning, err)
		}
		p = used
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	p := b.register(t)
	p.FlagsUnknown, p.UserPresent, p.UserVerified, p.RPID = true, false, false, "" // as an import has it
	b.auth.Options.BackupEligible, b.auth.Options.BackupState = true, true
	used, _, err := verify(p, b.assertion(t))
	if err != nil || used.FlagsUnknown || !used.BackupEligible || !used.BackupState || !used.UserVerified || used.RPID != party.ID {
		t.Fatalf("learnt %+v, %v", used, err)
	}
	b.auth.Options.BackupEligible, b.auth.Options.BackupState = false, false
	_, _, err = verify(used, b.assertion(t))
	refused(t, err, fault.Unauthenticated)

	second := newBrowser(t)
	p = second.register(t)
	p.Purpose, p.UserVerified = credential.SecondFactor, false
	second.auth.Options.UserNotVerified = true
	if used, _, err = verify(p, second.assertion(t)); err != nil || used.UserVerified {
		t.Errorf("a second factor without verification: %+v, %v", used, err)
	}
	second.auth.Options.UserNotPresent = true
	_, _, err = verify(p, second.assertion(t))
	refused(t, err, fault.Unauthenticated)
}

// refused holds an error to the neutral fault.
func refused(t testing.TB, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) || !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("got %v, want a refusal of kind %d", err, kind)
		return
	}
	say := map[fault.Kind]string{fault.Unauthenticated: "This passkey could not be verified.", fault.Unprocessable: "This passkey could not be registered."}
	if f := fault.Read(err); f.Public != say[kind] || f.Field != "" || len(err.Error()) > 600 {
		t.Errorf("the refusal says %q, %q", f.Public, err)
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
