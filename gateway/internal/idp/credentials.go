package idp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const (
	maxSecret       = 4096
	maxPEM          = 16 << 10
	assertionLife   = 30 * time.Second // private_key_jwt.exp (published API 16.2)
	maxAssertion    = time.Hour
	maxStaticUsers  = 200
	maxStaticText   = 500
	maxStaticObject = 64 << 10
	minRSA          = 2048
)

// Credentials are what an IDP proves itself or its people with. They are kept
// sealed, and no IDP carries them unless somebody revealed them.
type Credentials struct {
	OIDC   *OIDCCredentials   `json:"oidc,omitempty"`
	Static *StaticCredentials `json:"static,omitempty"`
}

// OIDCCredentials are what an oidc IDP proves itself with at its provider.
type OIDCCredentials struct {
	ClientSecret  string        `json:"client_secret,omitempty"`
	PrivateKeyJWT *AssertionKey `json:"private_key_jwt,omitempty"`
}

// AssertionKey signs assertions of private_key_jwt (RFC 7523).
type AssertionKey struct {
	Key       string         `json:"key"`       // PEM
	Algorithm string         `json:"algorithm"` // JWA name
	Expires   store.Duration `json:"exp"`       // how long an assertion is valid
}

// StaticCredentials are the users of a sandbox.
type StaticCredentials struct {
	Users []StaticUser `json:"users"`
}

// StaticUser is a person of a sandbox.
type StaticUser struct {
	Username              string          `json:"username"`
	Password              string          `json:"password"`
	Email                 string          `json:"email,omitempty"`
	EmailVerified         bool            `json:"email_verified,omitempty"`
	PhoneNumber           string          `json:"phone_number,omitempty"`
	PhoneNumberVerified   bool            `json:"phone_number_verified,omitempty"`
	AuthenticationContext json.RawMessage `json:"authentication_context,omitempty"`
	AdditionalAttributes  json.RawMessage `json:"additional_attributes,omitempty"`
}

// takeCredentials returns the credentials that an IDP has after a write: what
// was given, and of the old ones whatever was left out, so that somebody who
// may not see them can change the rest. Those that the settings do not ask for
// are forgotten.
func (p *IDP) takeCredentials(old *Credentials) (*Credentials, error) {
	given := cloneOr(p.Credentials)
	old = cloneOr(old)
	switch p.Method {
	case OIDC:
		c, err := takeOIDC(p.Settings.OIDC.AuthenticationMethod, cloneOr(given.OIDC), cloneOr(old.OIDC))
		return &Credentials{OIDC: c}, err
	case Static:
		c, err := takeStatic(given.Static, cloneOr(old.Static))
		return &Credentials{Static: c}, err
	}
	return nil, nil
}

func takeOIDC(method string, given, old *OIDCCredentials) (*OIDCCredentials, error) {
	switch method {
	case AuthSecret:
		if given.ClientSecret == "" {
			given.ClientSecret = old.ClientSecret
		}
		if given.ClientSecret == "" {
			return nil, fault.At(fault.Unprocessable, "credentials.client_secret", "is required")
		}
		return &OIDCCredentials{ClientSecret: given.ClientSecret}, visible("credentials.client_secret", given.ClientSecret, maxSecret)
	case AuthKey:
		key, before := cloneOr(given.PrivateKeyJWT), cloneOr(old.PrivateKeyJWT)
		if key.Key == "" {
			key.Key = before.Key
			if key.Algorithm == "" {
				key.Algorithm = before.Algorithm
			}
		}
		if err := key.check(); err != nil {
			return nil, err
		}
		return &OIDCCredentials{PrivateKeyJWT: key}, nil
	}
	return &OIDCCredentials{}, nil
}

// check completes and checks a key. Its errors never show it.
func (k *AssertionKey) check() error {
	const at = "credentials.private_key_jwt."
	if k.Key == "" {
		return fault.At(fault.Unprocessable, at+"key", "is required")
	}
	if k.Expires == 0 {
		k.Expires = store.Duration(assertionLife)
	}
	if d := time.Duration(k.Expires); d < time.Second || d > maxAssertion {
		return fault.At(fault.Unprocessable, at+"exp", "must be between 1s and 1h")
	}
	key, err := readKey(k.Key)
	if err != nil {
		return fault.At(fault.Unprocessable, at+"key", err.Error())
	}
	algs := algorithms(key)
	if k.Algorithm == "" {
		k.Algorithm = algs[0]
	}
	return record.OneOf(at+"algorithm", k.Algorithm, algs)
}

// readKey reads a private key. Its errors are for the person who wrote it and
// never show it.
func readKey(text string) (crypto.Signer, error) {
	block, rest := pem.Decode([]byte(strings.TrimSpace(text)))
	if len(text) > maxPEM || block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("must be one private key in PEM form")
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, errors.New("is encrypted; it must be a plain private key in PEM form")
	}
	key, err := parseKey(block)
	if err != nil {
		return nil, errors.New("is no private key that can be read (PKCS #8, PKCS #1 or SEC 1)")
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSA {
			return nil, fmt.Errorf("is an RSA key of %d bits; it needs at least %d", key.N.BitLen(), minRSA)
		}
		return key, nil
	case *ecdsa.PrivateKey:
		if len(algorithms(key)) > 0 {
			return key, nil
		}
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("is a key of a kind that no algorithm here uses: RSA, P-256, P-384, P-521 or Ed25519")
}

func parseKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	return nil, fmt.Errorf("PEM type %q", block.Type)
}

// algorithms returns what a key can sign by (RFC 7518, 3.1; RFC 8037, 3.1), the
// usual one first.
func algorithms(key crypto.Signer) []string {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PrivateKey:
		switch key.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	case ed25519.PrivateKey:
		return []string{"EdDSA"}
	}
	return nil
}

// takeStatic checks the users of a sandbox. A user without a password keeps the
// one of the same name.
func takeStatic(given, old *StaticCredentials) (*StaticCredentials, error) {
	if given == nil {
		given = old
	}
	if len(given.Users) > maxStaticUsers {
		return nil, fault.At(fault.Unprocessable, "credentials.users", fmt.Sprintf("must hold at most %d users", maxStaticUsers))
	}
	kept := make(map[string]string, len(old.Users))
	for _, u := range old.Users {
		kept[u.Username] = u.Password
	}
	out := &StaticCredentials{Users: make([]StaticUser, len(given.Users))}
	seen := map[string]bool{}
	for i, u := range given.Users {
		at := fmt.Sprintf("credentials.users[%d].", i)
		if u.Password == "" {
			u.Password = kept[u.Username]
		}
		if err := u.check(at); err != nil {
			return nil, err
		}
		if seen[u.Username] {
			return nil, fault.At(fault.Unprocessable, at+"username", "is there twice")
		}
		seen[u.Username] = true
		out.Users[i] = u
	}
	return out, nil
}

func (u *StaticUser) check(at string) error {
	for _, need := range []struct{ name, value string }{{"username", u.Username}, {"password", u.Password}} {
		if need.value == "" {
			return fault.At(fault.Unprocessable, at+need.name, "is required")
		}
		if err := record.Text(at+need.name, need.value, maxStaticText); err != nil {
			return err
		}
	}
	for _, more := range []struct{ name, value string }{{"email", u.Email}, {"phone_number", u.PhoneNumber}} {
		if err := record.Text(at+more.name, more.value, maxStaticText); err != nil {
			return err
		}
	}
	for _, free := range []struct {
		name string
		raw  *json.RawMessage
	}{{"authentication_context", &u.AuthenticationContext}, {"additional_attributes", &u.AdditionalAttributes}} {
		if err := record.Object(at+free.name, free.raw); err != nil {
			return err
		}
		if len(*free.raw) > maxStaticObject {
			return fault.At(fault.Unprocessable, at+free.name, fmt.Sprintf("must have at most %d bytes", maxStaticObject))
		}
	}
	return nil
}

// visible checks a text that is sent as it is in a header.
func visible(field, value string, limit int) error {
	if len(value) > limit {
		return fault.At(fault.Unprocessable, field, fmt.Sprintf("must have at most %d characters", limit))
	}
	for i := range len(value) {
		if value[i] < 0x20 || value[i] == 0x7f {
			return fault.At(fault.Unprocessable, field, "must not hold control characters")
		}
	}
	return nil
}

func credentialsAAD(p *IDP) string {
	return vault.AAD(p.TenantID, "idps", store.ID(p.WorkspaceID, p.ID), "credentials")
}

// seal returns the credentials as they are stored; "" for none.
func seal(ring *vault.Ring, p *IDP, c *Credentials) (string, error) {
	if c == nil {
		return "", nil
	}
	if ring == nil {
		return "", errors.New("idp: no key ring to seal credentials with")
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("credentials of IDP %s: %w", p.ID, err)
	}
	sealed, err := ring.Seal(raw, credentialsAAD(p))
	if err != nil {
		return "", fmt.Errorf("seal the credentials of IDP %s: %w", p.ID, err)
	}
	return sealed, nil
}

// unseal returns the credentials of an IDP; nil when it has none.
func unseal(ring *vault.Ring, p *IDP) (*Credentials, error) {
	if p.Sealed == "" {
		return nil, nil
	}
	if ring == nil {
		return nil, errors.New("idp: no key ring to open credentials with")
	}
	raw, err := ring.Open(p.Sealed, credentialsAAD(p))
	if err != nil {
		return nil, fmt.Errorf("credentials of IDP %s: %w", p.ID, err)
	}
	var c Credentials
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("credentials of IDP %s cannot be read", p.ID) // the error would show some of them
	}
	return &c, nil
}
