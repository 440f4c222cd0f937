package credential_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/google/go-cmp/cmp"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	b.auth.Options.BackupEligible = true
	p := b.register(t)
	p.Transports, p.Attachment = []string{"internal", "hybrid"}, "platform"
	for name, change := range map[string]func(*credential.Passkey){
		"as made":       func(*credential.Passkey) {},
		"used":          func(p *credential.Passkey) { p.SignCount, p.CloneWarning, p.BackupState = 7, true, true },
		"second factor": func(p *credential.Passkey) { p.UserVerified, p.Purpose = false, credential.SecondFactor },
		"flags unknown": func(p *credential.Passkey) {
			p.FlagsUnknown, p.UserPresent, p.UserVerified, p.BackupEligible = true, false, false, false
		},
		"without AAGUID": func(p *credential.Passkey) { p.AAGUID = nil },
	} {
		want := p
		change(&want)
		got, err := credential.ParsePasskey(encode(t, want.Record()))
		want.RPID = "" // the contract has no such member
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// TestParsePasskey reads records as other programs write them.
func TestParsePasskey(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	p := b.register(t)
	numbers := func(b []byte) string {
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(b), "[]"), " ", ",")
	}
	url := func(b []byte) string {
		return strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(b64(b))
	}
	unknown := credential.Passkey{ID: p.ID, PublicKey: p.PublicKey, Purpose: credential.Passwordless, FlagsUnknown: true}
	known := unknown
	known.FlagsUnknown, known.UserPresent, known.UserVerified = false, true, true
	noAAGUID, odd := known, known
	odd.Transports = []string{"usb"}
	for _, tc := range []struct {
		name, record string
		want         credential.Passkey
	}{
		{"least, in numbers", `{"id":[` + numbers(p.ID) + `],"publicKey":[` + numbers(p.PublicKey) + `]}`, unknown},
		{"base64", `{"id":"` + b64(p.ID) + `","publicKey":"` + b64(p.PublicKey) + `"}`, unknown},
		{"base64url without padding", `{"id":"` + url(p.ID) + `","publicKey":"` + url(p.PublicKey) + `","flags":null,"authenticator":null,"transport":null}`, unknown},
		{"flags of before backup", `{"id":"` + url(p.ID) + `","publicKey":"` + url(p.PublicKey) + `","flags":{"userPresent":true,"userVerified":true}}`, unknown},
		{"flags that were filled in", `{"id":"` + url(p.ID) + `","publicKey":"` + url(p.PublicKey) + `","flags":{"userPresent":false,"userVerified":false,"backupEligible":false,"backupState":false}}`, unknown},
		{"with flags", `{"id":"` + url(p.ID) + `","publicKey":"` + url(p.PublicKey) + `","flags":{"userPresent":true,"userVerified":true,"backupEligible":false,"backupState":false},"attestation":{"object":[1,2,3]},"more":1}`, noAAGUID},
		{"odd words and lengths", `{"id":"` + url(p.ID) + `","publicKey":"` + url(p.PublicKey) + `","flags":{"userPresent":true,"userVerified":true,"backupEligible":false},"transport":["usb","usb","","<b> x","` + strings.Repeat("x", 99) + `"],"attestationType":"a b","authenticator":{"AAGUID":"AAAA","attachment":"` + strings.Repeat("y", 99) + `"}}`, odd},
	} {
		got, err := credential.ParsePasskey(json.RawMessage(tc.record))
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, err, diff)
		}
		if _, _, err := verify(got, b.assertion(t)); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestParsePasskeyRefuses(t *testing.T) {
	t.Parallel()
	p := newBrowser(t).register(t)
	key := `"publicKey":"` + b64(p.PublicKey) + `"`
	for _, tc := range []struct{ record, field string }{
		{``, ""},
		{`[]`, ""},
		{`"x"`, ""},
		{`{"id":`, ""},
		{`null`, "id"},
		{`{}`, "id"},
		{`{` + key + `}`, "id"},
		{`{"id":"AAAA"}`, "publicKey"},
		{`{"id":"AAAA","publicKey":"AAAA"}`, "publicKey"},
		{`{"id":"AAAA","publicKey":"` + b64(p.PublicKey[:60]) + `"}`, "publicKey"},
		{`{"id":"AAAA","publicKey":"` + strings.Repeat("A", 4000) + `"}`, "publicKey"},
		{`{"id":"` + strings.Repeat("A", 1368) + `",` + key + `}`, "id"},
		{`{"id":[256],` + key + `}`, ""},
		{`{"id":[-1],` + key + `}`, ""},
		{`{"id":[1.5],` + key + `}`, ""},
		{`{"id":7,` + key + `}`, ""},
		{`{"id":"*",` + key + `}`, ""},
		{`{"id":"AAAA",` + key + `,"authenticator":{"signCount":4294967296}}`, ""},
		{`{"id":"AAAA",` + key + `,"more":"` + strings.Repeat("x", 256<<10) + `"}`, ""},
	} {
		_, err := credential.ParsePasskey(json.RawMessage(tc.record))
		if !fault.Is(err, fault.Unprocessable) || fault.Read(err).Field != tc.field {
			t.Errorf("ParsePasskey(%.60s): %v", tc.record, err)
		}
	}
}

// FuzzPasskey gives every reader whatever comes.
func FuzzPasskey(f *testing.F) {
	b := newBrowser(f)
	p := b.register(f)
	f.Add(b.creation(f))
	f.Add(b.assertion(f))
	f.Add(encode(f, p.Record()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, err := credential.ParsePasskey(raw); err == nil {
			if again, err := credential.ParsePasskey(encode(t, got.Record())); err != nil || cmp.Diff(got, again) != "" {
				t.Errorf("%+v reads back as %+v, %v", got, again, err)
			}
		}
		if created, err := party.Create(alice, challenge, raw); err == nil && created.RPID != party.ID {
			t.Errorf("created %+v", created)
		}
		if _, _, err := verify(p, raw); err != nil {
			refused(t, err, fault.Unauthenticated)
		}
	})
}
