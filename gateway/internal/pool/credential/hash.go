package credential

import "errors"

// Hash is a password hash in the contract's form (section 8, end), in which
// dumps carry it.
type Hash struct {
	Value  string     `json:"value"`
	Config HashConfig `json:"config"`
}

// HashConfig tells how a Hash was made; the member of its method is set.
type HashConfig struct {
	Method string        `json:"method"`
	Bcrypt *BcryptConfig `json:"bcrypt,omitempty"`
	PBKDF2 *PBKDF2Config `json:"pbkdf2,omitempty"`
	Argon2 *Argon2Config `json:"argon2,omitempty"`
	SHA    *SHAConfig    `json:"sha,omitempty"`
	MD5    *MD5Config    `json:"md5,omitempty"`
}

// BcryptConfig is the contract's type of that name.
type BcryptConfig struct {
	Cost int `json:"cost"`
}

// PBKDF2Config is the contract's type of that name.
type PBKDF2Config struct {
	Function   string `json:"function"`
	Salt       string `json:"salt"`
	SaltLength int    `json:"salt_length"`
	Iterations int    `json:"number_of_iterations"`
	KeyLength  int    `json:"key_length"`
}

// Argon2Config is the contract's type of that name.
type Argon2Config struct {
	Salt        string `json:"salt"`
	SaltLength  int    `json:"salt_length"`
	Iterations  int    `json:"iterations"`
	MemoryKiB   int    `json:"memory_in_kb"`
	Parallelism int    `json:"parallelism"`
	KeyLength   int    `json:"key_length"`
}

// SHAConfig is the contract's type of that name.
type SHAConfig struct {
	Function              string `json:"function"`
	Salt                  string `json:"salt"`
	SaltLength            int    `json:"salt_length"`
	SaltAfterDigestInHash bool   `json:"salt_after_digest_in_hash"`
}

// MD5Config is the contract's type of that name.
type MD5Config struct {
	Salt                  string `json:"salt"`
	SaltLength            int    `json:"salt_length"`
	SaltAfterDigestInHash bool   `json:"salt_after_digest_in_hash"`
}

// Stored returns the string that Verifier.Check reads.
func (h Hash) Stored() (string, error) { return "", errors.ErrUnsupported }

// ParseStored is the inverse of Hash.Stored.
func ParseStored(stored string) (Hash, error) { return Hash{}, errors.ErrUnsupported }

// Usable tells whether Check can verify passwords against stored.
func Usable(stored string) error { return errors.ErrUnsupported }
