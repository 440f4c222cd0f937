package vault

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The test vectors of the C2SP XAES-256-GCM specification.
func TestExtendedVectors(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		key  byte
		aad  string
		want string
	}{
		{"msb of L is 0", 0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{"msb of L is 1", 0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x, err := newExtended(bytes.Repeat([]byte{c.key}, 32))
			if err != nil {
				t.Fatal(err)
			}
			nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
			gcm, err := x.aead(nonce)
			if err != nil {
				t.Fatal(err)
			}
			got := hex.EncodeToString(gcm.Seal(nil, nonce[12:], []byte("XAES-256-GCM"), []byte(c.aad)))
			if got != c.want {
				t.Errorf("sealed = %s, want %s", got, c.want)
			}
		})
	}
}
