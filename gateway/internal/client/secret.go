package client

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// maxRotated is how many older secrets stay valid beside the current one.
const maxRotated = 2

// proof is what a presented secret is compared with.
type proof struct {
	sum  [sha256.Size]byte
	ends time.Time // zero: never
}

// secretRecord is a secret at rest. A secret is 256 random bits, or chosen with
// at least 32 characters, so a plain hash suffices.
type secretRecord struct {
	Hash   string `json:"hash"`             // hexadecimal SHA-256
	Sealed string `json:"sealed,omitempty"` // empty when only the hash may be kept
	Ends   int64  `json:"ends,omitempty"`   // Unix milliseconds; 0: never
}

func (s secretRecord) over(now time.Time) bool { return s.Ends != 0 && now.UnixMilli() >= s.Ends }

// Check tells whether secret is the client's current or a rotated one. Its time
// does not depend on the secret nor on how many there are.
func (c *Client) Check(secret string, now time.Time) bool {
	sum := sha256.Sum256([]byte(secret))
	found := 0
	for i := range 1 + maxRotated {
		var want proof
		valid := 0
		if i < len(c.secrets) {
			want = c.secrets[i]
			if want.ends.IsZero() || now.Before(want.ends) {
				valid = 1
			}
		}
		found |= subtle.ConstantTimeCompare(sum[:], want.sum[:]) & valid
	}
	return found == 1
}

// Prove checks a secret presented for a client; c is nil when there is no such
// client. Unknown, inactive and wrong give one and the same answer in the same
// time: Unauthenticated with code invalid_client (RFC 6749, section 5.2).
func Prove(c *Client, secret string, now time.Time) error {
	known := c != nil
	if !known {
		c = &Client{}
	}
	right := c.Check(secret, now)
	if known && right && c.Active() {
		return nil
	}
	e := fault.New(fault.Unauthenticated, "The client is unknown or its credentials are wrong.", nil)
	e.Code = "invalid_client"
	return e
}

// newID returns a client id in the style of the published ones: 20 characters
// of base32.
func newID() string {
	var raw [12]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:]))
}

// needsSecret tells whether a way of authentication rests on a shared secret.
func needsSecret(method string) bool {
	return strings.HasPrefix(method, "client_secret_") || method == "unspecified"
}

// checkKept refuses client_secret_jwt where only the secret's hash is kept: the
// secret itself is the key.
func (c *Client) checkKept(hashOnly bool) error {
	if c.TokenEndpointAuthMethod != AuthSecretJWT || !hashOnly {
		return nil
	}
	return fault.At(fault.Unprocessable, "token_endpoint_auth_method",
		"cannot be client_secret_jwt where only hashes of secrets are kept (flag client_secrets_stored_as_one_way_hash, hashed_secret): use private_key_jwt")
}

func secretAAD(tenant, id string) string { return vault.AAD(tenant, "clients", id, "secret") }

// keep turns a secret into what is stored of it.
func (k *Clients) keep(tenant, id, secret string, oneWay bool) (secretRecord, error) {
	r := secretRecord{Hash: vault.Hash(secret)}
	if oneWay {
		return r, nil
	}
	sealed, err := k.config.Ring.Seal([]byte(secret), secretAAD(tenant, id))
	if err != nil {
		return r, fmt.Errorf("seal the secret of client %q: %w", id, err)
	}
	r.Sealed = sealed
	return r, nil
}

// recall opens the sealed copy of a secret; empty when there is none.
func (k *Clients) recall(tenant, id string, r secretRecord) (string, error) {
	if r.Sealed == "" {
		return "", nil
	}
	secret, err := k.config.Ring.Open(r.Sealed, secretAAD(tenant, id))
	if err != nil {
		return "", fmt.Errorf("secret of client %q: %w", id, err)
	}
	return string(secret), nil
}

// load turns a row into a client without its secrets in the clear.
func load(row store.Row[clientRecord]) (Client, error) {
	r := &row.Value
	c := Client(r.Value)
	c.Extra, c.TenantEpoch, c.WorkspaceEpoch, c.Epoch, c.Rev = r.Extra, r.TenantEpoch, r.WorkspaceEpoch, r.Epoch, row.Rev
	all := r.Rotated
	if r.Secret.Hash != "" {
		current := r.Secret
		current.Ends = c.ClientSecretExpiresAt * 1000
		all = append([]secretRecord{current}, all...)
	}
	for _, s := range all {
		var p proof
		raw, err := hex.DecodeString(s.Hash)
		if err != nil || copy(p.sum[:], raw) != len(p.sum) {
			return Client{}, fmt.Errorf("client %q: a broken hash of a secret", c.ClientID)
		}
		if s.Ends != 0 {
			p.ends = time.UnixMilli(s.Ends)
		}
		c.secrets = append(c.secrets, p)
	}
	return c, nil
}

// belongs tells whether a client is of the workspace as it is now.
func (r *clientRecord) belongs(w *tenant.Workspace) bool {
	return r.Value.WorkspaceID == w.ID && r.WorkspaceEpoch == w.Epoch && r.TenantEpoch == w.TenantEpoch
}
