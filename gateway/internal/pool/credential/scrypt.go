package credential

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"

	"golang.org/x/crypto/scrypt"
)

// What a stored scrypt hash (RFC 7914) may ask for at most: OWASP's costliest
// recommendation, and four times its work.
const (
	scryptMaxMemory = 128 << 20 // bytes: 128*r*N
	scryptMaxWork   = 1 << 22   // N*r*p
)

type scryptCost struct{ log, r, p int }

// parseScryptCost reads "ln=16,r=8,p=1".
func parseScryptCost(s string) (c scryptCost, err error) {
	if _, err := fmt.Sscanf(s, "ln=%d,r=%d,p=%d", &c.log, &c.r, &c.p); err != nil ||
		s != fmt.Sprintf("ln=%d,r=%d,p=%d", c.log, c.r, c.p) || c.log < 1 || c.r < 1 || c.p < 1 {
		return c, ErrMalformed
	}
	const far = 1 << 22 // so that nothing overflows below
	if c.log > 22 || c.r > far || c.p > far ||
		128*c.r<<c.log > scryptMaxMemory || c.r<<c.log > scryptMaxWork/c.p {
		return c, ErrCost
	}
	return c, nil
}

// key derives; the parameters have been checked, so that it does not fail.
func (c scryptCost) key(password string, salt []byte, n int) []byte {
	k, err := scrypt.Key([]byte(password), salt, 1<<c.log, c.r, c.p, n)
	if err != nil {
		return nil
	}
	return k
}

// readScrypt reads passlib's form, "$scrypt$ln=16,r=8,p=1$salt$key".
func readScrypt(stored string) (match, error) {
	parts, ok := fields(stored, 4)
	if !ok {
		return nil, ErrMalformed
	}
	c, err := parseScryptCost(parts[1])
	if err != nil {
		return nil, err
	}
	salt, err := plainBase64(parts[2])
	want, err2 := plainBase64(parts[3])
	if err != nil || err2 != nil || len(salt) > maxSalt || len(want) < minKey || len(want) > maxKey {
		return nil, ErrMalformed
	}
	return func(password string) bool {
		return subtle.ConstantTimeCompare(c.key(password, salt, len(want)), want) == 1
	}, nil
}

// readFirebase reads Firebase's variant in Kratos's form,
// "$firescrypt$ln=14,r=8,p=1$salt$hash$separator$signer", in any base64: scrypt
// of salt and separator gives an AES-256-CTR key, and the hash is the project's
// signer key under it.
func readFirebase(stored string) (match, error) {
	parts, ok := fields(stored, 6)
	if !ok {
		return nil, ErrMalformed
	}
	c, err := parseScryptCost(parts[1])
	if err != nil {
		return nil, err
	}
	var b [4][]byte
	for i := range b {
		if b[i], ok = anyBase64(parts[2+i]); !ok || len(b[i]) > maxSalt {
			return nil, ErrMalformed
		}
	}
	salt, want, signer := append(b[0], b[2]...), b[1], b[3]
	if len(want) < minKey || len(want) != len(signer) {
		return nil, ErrMalformed
	}
	return func(password string) bool {
		block, err := aes.NewCipher(c.key(password, salt, 32))
		if err != nil {
			return false
		}
		got := make([]byte, len(signer))
		cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(got, signer)
		return subtle.ConstantTimeCompare(got, want) == 1
	}, nil
}
