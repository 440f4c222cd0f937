package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// SecretSize is the length of a key's secret in bytes.
const SecretSize = 32

// The errors of opening. Callers compare with errors.Is.
var (
	// ErrUnknownKey means that the ring does not hold the key that sealed.
	ErrUnknownKey = errors.New("the key ring does not hold the key that sealed this")
	// ErrBroken means a value that was altered, cut, or sealed for another place.
	ErrBroken = errors.New("the sealed value was altered or belongs to another place")
)

// Key is one line of a key file.
type Key struct {
	ID     string // 1 to 32 of A-Z a-z 0-9 - _
	Secret []byte // SecretSize bytes
}

// GenerateKey returns a key with a random id and secret.
func GenerateKey() Key {
	return Key{ID: "k" + hex.EncodeToString(random(4)), Secret: random(SecretSize)}
}

// Ring seals with its first key and opens with all. It is immutable and safe
// for concurrent use.
type Ring struct {
	keys  []*keys // at least one
	check string
}

// keys are the two keys derived from one secret (RFC 5869), so that no key
// serves two purposes.
type keys struct {
	id   string
	seal *extended
	mark []byte
}

// New returns a ring of keys, the first of which seals. An empty list, a bad id,
// a secret of another length and two keys with one id are errors.
func New(list []Key) (*Ring, error) {
	if len(list) == 0 {
		return nil, errors.New("a key ring needs at least one key")
	}
	r := &Ring{}
	for i, k := range list {
		if !validID(k.ID) {
			return nil, fmt.Errorf("key %d: id %q: use 1 to 32 of A-Z a-z 0-9 - _", i+1, k.ID)
		}
		if r.find(k.ID) != nil {
			return nil, fmt.Errorf("key %d: id %q is used twice", i+1, k.ID)
		}
		if len(k.Secret) != SecretSize {
			return nil, fmt.Errorf("key %d (%s): the secret has %d bytes, want %d", i+1, k.ID, len(k.Secret), SecretSize)
		}
		derived, err := derive(k)
		if err != nil {
			return nil, fmt.Errorf("key %d (%s): %w", i+1, k.ID, err)
		}
		r.keys = append(r.keys, derived)
	}
	check, err := r.Seal([]byte(checkText), checkAAD)
	if err != nil {
		return nil, err
	}
	r.check = check
	return r, nil
}

func derive(k Key) (*keys, error) {
	sealing, err := hkdf.Key(sha256.New, k.Secret, nil, "gatepost vault seal 1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the sealing key: %w", err)
	}
	marking, err := hkdf.Key(sha256.New, k.Secret, nil, "gatepost vault mac 1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the marking key: %w", err)
	}
	x, err := newExtended(sealing)
	if err != nil {
		return nil, err
	}
	return &keys{id: k.ID, seal: x, mark: marking}, nil
}

func (r *Ring) find(id string) *keys {
	for _, k := range r.keys { // a ring holds a handful
		if k.id == id {
			return k
		}
	}
	return nil
}

// First returns the id of the key that seals.
func (r *Ring) First() string { return r.keys[0].id }

// Seal encrypts plain under the first key and binds it to aad, which is not part
// of the result. The result is "keyid.base64url", safe in a cookie.
func (r *Ring) Seal(plain []byte, aad string) (string, error) {
	k := r.keys[0]
	nonce := make([]byte, extendedNonce, extendedNonce+len(plain)+tagSize)
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("make a nonce: %w", err)
	}
	gcm, err := k.seal.aead(nonce)
	if err != nil {
		return "", err
	}
	sealed := gcm.Seal(nonce, nonce[extendedNonce-gcmNonce:], plain, []byte(aad))
	out := make([]byte, 0, len(k.id)+1+base64.RawURLEncoding.EncodedLen(len(sealed)))
	out = append(append(out, k.id...), '.')
	return string(base64.RawURLEncoding.AppendEncode(out, sealed)), nil
}

// Open returns what Seal was given with the same aad under any key of the ring.
// The error is ErrUnknownKey or ErrBroken, wrapped.
func (r *Ring) Open(sealed, aad string) ([]byte, error) {
	id, text, ok := strings.Cut(sealed, ".")
	if !ok {
		return nil, fmt.Errorf("open: no key id: %w", ErrBroken)
	}
	k := r.find(id)
	if k == nil {
		if !validID(id) {
			return nil, fmt.Errorf("open: no key id: %w", ErrBroken)
		}
		return nil, fmt.Errorf("open: key %s: %w", id, ErrUnknownKey)
	}
	// Strict: no two texts may stand for one sealed value.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < extendedNonce+tagSize || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("open: not a sealed value: %w", ErrBroken)
	}
	gcm, err := k.seal.aead(raw[:extendedNonce])
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, raw[extendedNonce-gcmNonce:extendedNonce], raw[extendedNonce:], []byte(aad))
	if err != nil {
		return nil, fmt.Errorf("open: %w", ErrBroken)
	}
	return plain, nil
}

// MAC returns the HMAC-SHA256 of purpose and parts under the first key. Parts
// are length-prefixed: no two lists of parts have the same input.
func (r *Ring) MAC(purpose string, parts ...string) []byte {
	return r.keys[0].mac(purpose, parts)
}

// CheckMAC tells in constant time whether mac is what MAC returns for the same
// input under any key of the ring.
func (r *Ring) CheckMAC(mac []byte, purpose string, parts ...string) bool {
	ok := false
	for _, k := range r.keys {
		if hmac.Equal(mac, k.mac(purpose, parts)) {
			ok = true
		}
	}
	return ok
}

func (k *keys) mac(purpose string, parts []string) []byte {
	h := hmac.New(sha256.New, k.mark)
	var size [8]byte
	write := func(s string) {
		binary.BigEndian.PutUint64(size[:], uint64(len(s)))
		h.Write(size[:])
		h.Write([]byte(s))
	}
	write(purpose)
	for _, p := range parts {
		write(p)
	}
	return h.Sum(nil)
}

const (
	checkText = "gatepost key ring"
	checkAAD  = "vault check value"
)

// CheckValue returns a sealed constant to be kept beside the data that this ring
// seals.
func (r *Ring) CheckValue() string { return r.check }

// Verify tells whether this ring can open a check value, and so the data beside
// it. The error names the key that is missing and those the ring has.
func (r *Ring) Verify(checkValue string) error {
	_, err := r.Open(checkValue, checkAAD)
	if err == nil {
		return nil
	}
	have := make([]string, len(r.keys))
	for i, k := range r.keys {
		have[i] = k.id
	}
	return fmt.Errorf("this key ring (%s) cannot open the store's check value: use the key file that the store was set up with: %w",
		strings.Join(have, ", "), err)
}

func validID(id string) bool {
	if id == "" || len(id) > 32 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
