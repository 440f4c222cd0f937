package credential_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/google/go-cmp/cmp"
)

// token is an authenticator with an Ed25519 key and no attestation, which
// virtualwebauthn is not: as platform authenticators answer when none is asked
// for.
type token struct {
	key    ed25519.PrivateKey
	id     []byte
	client map[string]any // of the client data; type and challenge are filled in
	flags  byte
	alg    byte // CBOR of the algorithm: 0x27 is -8, EdDSA
}

func newToken() *token {
	return &token{
		key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), id: []byte("an id"), flags: 0x1d, alg: 0x27, // UP, UV, BE, BS
		client: map[string]any{"origin": party.Origins[0], "crossOrigin": false},
	}
}

func (k *token) authData(flags byte) []byte {
	rp := sha256.Sum256([]byte(party.ID))
	return append(append(rp[:], flags), 0, 0, 0, 0)
}

// cose is the public key as COSE_Key: {1: OKP, 3: alg, -1: Ed25519, -2: key}.
func (k *token) cose() []byte {
	return append([]byte{0xa4, 1, 1, 3, k.alg, 0x20, 6, 0x21, 0x58, 32}, k.key.Public().(ed25519.PublicKey)...)
}

func (k *token) clientData(t testing.TB, kind string) []byte {
	t.Helper()
	all := map[string]any{"type": kind, "challenge": base64.RawURLEncoding.EncodeToString(challenge)}
	for name, v := range k.client {
		all[name] = v
	}
	return encode(t, all)
}

func (k *token) answer(t testing.TB, response map[string]any) []byte {
	t.Helper()
	for name, v := range response {
		if b, ok := v.([]byte); ok {
			response[name] = base64.RawURLEncoding.EncodeToString(b)
		}
	}
	id := base64.RawURLEncoding.EncodeToString(k.id)
	return encode(t, map[string]any{
		"id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform", "response": response,
		"clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}}, // nobody asked
	})
}

func (k *token) creation(t testing.TB) []byte {
	t.Helper()
	data := append(k.authData(k.flags|0x40), make([]byte, 16)...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.id)))
	data = append(append(data, k.id...), k.cose()...)
	object := []byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58")
	object = append(append(object, byte(len(data))), data...)
	return k.answer(t, map[string]any{"clientDataJSON": k.clientData(t, "webauthn.create"), "attestationObject": object, "transports": []string{"internal", "hybrid"}})
}

func (k *token) assertion(t testing.TB) []byte {
	t.Helper()
	client, data := k.clientData(t, "webauthn.get"), k.authData(k.flags)
	sum := sha256.Sum256(client)
	signature := ed25519.Sign(k.key, append(bytes.Clone(data), sum[:]...))
	return k.answer(t, map[string]any{"clientDataJSON": client, "authenticatorData": data, "signature": signature, "userHandle": alice.Handle})
}

func TestPlatformAuthenticator(t *testing.T) {
	t.Parallel()
	k := newToken()
	p, err := party.Create(alice, challenge, k.creation(t))
	want := credential.Passkey{
		ID: k.id, PublicKey: k.cose(), RPID: "example.com", Purpose: credential.Passwordless, AAGUID: make([]byte, 16),
		Transports: []string{"internal", "hybrid"}, Attachment: "platform", AttestationType: "none",
		UserPresent: true, UserVerified: true, BackupEligible: true, BackupState: true,
	}
	if diff := cmp.Diff(want, p); diff != "" || err != nil {
		t.Fatalf("Create: %v (-want +got):\n%s", err, diff)
	}
	for range 3 { // its counter stays at zero
		used, cloned, err := verify(p, k.assertion(t))
		if diff := cmp.Diff(want, used); diff != "" || cloned || err != nil {
			t.Fatalf("Verify: cloned %v, %v (-want +got):\n%s", cloned, err, diff)
		}
	}
}

func TestClientDataRefused(t *testing.T) {
	t.Parallel()
	good := newToken()
	p, err := party.Create(alice, challenge, good.creation(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]func(*token){
		"in a frame of another site": func(k *token) { k.client["crossOrigin"] = true },
		"with a top origin":          func(k *token) { k.client["topOrigin"] = party.Origins[0] },
		"of another type":            func(k *token) { k.client["type"] = "payment.get" },
		"padded challenge":           func(k *token) { k.client["challenge"] = base64.URLEncoding.EncodeToString(challenge) },
		"challenge in base64":        func(k *token) { k.client["challenge"] = "+/+/" },
		"no challenge":               func(k *token) { k.client["challenge"] = "" },
		"two origins":                func(k *token) { k.client["origin"] = party.Origins },
		"not eligible any more":      func(k *token) { k.flags = 0x05 },
	} {
		k := newToken()
		lie(k)
		_, _, err := verify(p, k.assertion(t))
		refused(t, err, fault.Unauthenticated)
		if name == "not eligible any more" {
			continue
		}
		if _, err := party.Create(alice, challenge, k.creation(t)); err == nil {
			t.Errorf("a passkey is created %s", name)
		} else {
			refused(t, err, fault.Unprocessable)
		}
	}
	k := newToken()
	k.alg = 0x26 // -7, ES256: not what the key is
	_, err = party.Create(alice, challenge, k.creation(t))
	refused(t, err, fault.Unprocessable)
	k.alg = 0x22 // -3, which was not offered
	_, err = party.Create(alice, challenge, k.creation(t))
	refused(t, err, fault.Unprocessable)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	held := []credential.Passkey{{ID: []byte{0xfb, 0xff}, Transports: []string{"internal"}}, {ID: []byte("x")}}
	creation, err := party.CreationOptions(alice, held, challenge)
	if err != nil {
		t.Fatal(err)
	}
	request, err := party.RequestOptions(held, challenge)
	if err != nil {
		t.Fatal(err)
	}
	open, err := party.RequestOptions(nil, challenge)
	if err != nil {
		t.Fatal(err)
	}
	const c = `"challenge":"YSBjaGFsbGVuZ2Ugb2YgdGhpcnR5LXR3byBieXRlcyE","timeout":300000`
	const list = `[{"type":"public-key","id":"-_8","transports":["internal"]},{"type":"public-key","id":"eA"}]`
	for _, tc := range []struct {
		name, want string
		got        json.RawMessage
	}{
		{"creation", `{"publicKey":{` + c + `,"rp":{"id":"example.com","name":"Example"},
			"user":{"id":"aGFuZGxlIG9mIGFsaWNlLCAzMiBieXRlcyBsb25nLi4","name":"alice@example.com","displayName":"Alice Liddell"},
			"pubKeyCredParams":[{"type":"public-key","alg":-7},{"type":"public-key","alg":-8},{"type":"public-key","alg":-257}],
			"excludeCredentials":` + list + `,"attestation":"none",
			"authenticatorSelection":{"requireResidentKey":true,"residentKey":"required","userVerification":"required"}}}`, creation},
		{"request", `{"publicKey":{` + c + `,"rpId":"example.com","allowCredentials":` + list + `,"userVerification":"required"}}`, request},
		{"open request", `{"publicKey":{` + c + `,"rpId":"example.com","userVerification":"required"}}`, open},
	} {
		var want, got any
		if json.Unmarshal([]byte(tc.want), &want) != nil || json.Unmarshal(tc.got, &got) != nil {
			t.Fatalf("%s: no JSON: %s", tc.name, tc.got)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	unnamed, err := credential.RelyingParty{ID: "localhost", Origins: []string{"http://localhost:8080"}}.CreationOptions(alice, nil, challenge)
	if err != nil || !bytes.Contains(unnamed, []byte(`"rp":{"name":"localhost","id":"localhost"}`)) {
		t.Errorf("without a name: %s, %v", unnamed, err)
	}
}

// TestOptionsMisused gives what only a defect or unusable settings can give:
// errors that are nobody's fault outside.
func TestOptionsMisused(t *testing.T) {
	t.Parallel()
	a, err := credential.ParseAssertion(newToken().assertion(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, rp := range map[string]credential.RelyingParty{
		"no id":      {Origins: party.Origins},
		"an address": {ID: "192.0.2.1", Origins: party.Origins},
		"no origin":  {ID: "example.com"},
	} {
		_, errCreation := rp.CreationOptions(alice, nil, challenge)
		_, errRequest := rp.RequestOptions(nil, challenge)
		_, errCreate := rp.Create(alice, challenge, newToken().creation(t))
		_, _, errVerify := rp.Verify(alice, credential.Passkey{ID: a.CredentialID}, challenge, a)
		for _, err := range []error{errCreation, errRequest, errCreate, errVerify} {
			if !fault.Is(err, fault.Internal) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, u := range []credential.PasskeyUser{{}, {Handle: make([]byte, 65)}} {
		if _, err := party.CreationOptions(u, nil, challenge); !fault.Is(err, fault.Internal) {
			t.Errorf("a handle of %d bytes: %v", len(u.Handle), err)
		}
	}
	_, errCreation := party.CreationOptions(alice, nil, challenge[:31])
	_, errRequest := party.RequestOptions(nil, challenge[:31])
	if !fault.Is(errCreation, fault.Internal) || !fault.Is(errRequest, fault.Internal) {
		t.Errorf("a short challenge: %v, %v", errCreation, errRequest)
	}
}

// golden holds passkeys as they were stored, with an assertion of each, one
// file for every version of go-webauthn that this project has used. Files are
// added, never changed: people have such passkeys.
//
//go:embed testdata/passkeys-*.json
var golden embed.FS

type stored struct {
	Name      string                  `json:"name"`
	Party     credential.RelyingParty `json:"party"`
	Handle    []byte                  `json:"handle"`
	Challenge []byte                  `json:"challenge"`
	Passkey   json.RawMessage         `json:"passkey"`
	Assertion json.RawMessage         `json:"assertion"`
}

func TestStoredPasskeysKeepWorking(t *testing.T) {
	t.Parallel()
	files, err := golden.ReadDir("testdata")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		raw, err := golden.ReadFile("testdata/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		var all []stored
		if err := json.Unmarshal(raw, &all); err != nil || len(all) < 3 {
			t.Fatalf("%s: %d passkeys, %v", f.Name(), len(all), err)
		}
		for _, s := range all {
			var p credential.Passkey
			if err := json.Unmarshal(s.Passkey, &p); err != nil {
				t.Fatal(err)
			}
			a, err := credential.ParseAssertion(s.Assertion)
			if err != nil {
				t.Fatal(err)
			}
			used, cloned, err := s.Party.Verify(credential.PasskeyUser{Handle: s.Handle}, p, s.Challenge, a)
			if err != nil || cloned || used.CreatedAt.IsZero() {
				t.Errorf("%s, %s: cloned %v, %v", f.Name(), s.Name, cloned, err)
			}
		}
	}
}
