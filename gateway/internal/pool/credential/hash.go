package credential

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

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

// The methods of the contract, and one of ours for what it has no word for.
const (
	methodBcrypt = "bcrypt"
	methodPBKDF2 = "pbkdf2"
	methodArgon2 = "argon2"
	methodSHA    = "sha"
	methodMD5    = "md5"
	methodOther  = "other" // Value is the stored string
)

// Stored returns the string that Check compares with. Whatever the method, a
// Value may be such a string itself. Else it is the key or digest, in base64 or
// hexadecimal, and the salt stands in the configuration, or for sha and md5
// around the digest. The contract leaves open how a salt is written: it is read
// so that it has salt_length bytes, as base64, hexadecimal or text, in this
// order. Of argon2 the variant is argon2id. Errors: ErrMalformed, ErrCost.
func (h Hash) Stored() (string, error) {
	stored := h.Value
	if Usable(stored) != nil {
		stored = h.compose()
	}
	if stored == "" {
		stored = h.Value // to say what is wrong with it
	}
	return stored, Usable(stored)
}

// compose puts a stored string together; it is empty when parts are missing.
func (h Hash) compose() string {
	switch c := h.Config; {
	case c.Method == methodArgon2 && c.Argon2 != nil:
		return c.Argon2.compose(h.Value)
	case c.Method == methodPBKDF2 && c.PBKDF2 != nil:
		return c.PBKDF2.compose(h.Value)
	case c.Method == methodSHA && c.SHA != nil:
		s := c.SHA
		return composeSalted(functionName(s.Function), h.Value, s.Salt, s.SaltLength, s.SaltAfterDigestInHash)
	case c.Method == methodMD5 && c.MD5 != nil:
		return composeSalted("md5", h.Value, c.MD5.Salt, c.MD5.SaltLength, c.MD5.SaltAfterDigestInHash)
	}
	return ""
}

func (c *Argon2Config) compose(value string) string {
	salt, ok := saltBytes(c.Salt, c.SaltLength)
	key, ok2 := encoded(value, c.KeyLength)
	if !ok || !ok2 {
		return ""
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Iterations, c.Parallelism,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

func (c *PBKDF2Config) compose(value string) string {
	salt, ok := saltBytes(c.Salt, c.SaltLength)
	key, ok2 := encoded(value, c.KeyLength)
	if !ok || !ok2 {
		return ""
	}
	prefix := "$pbkdf2-" + functionName(c.Function) + "$"
	if functionName(c.Function) == "sha1" {
		prefix = "$pbkdf2$"
	}
	return fmt.Sprintf("%s%d$%s$%s", prefix, c.Iterations, adapted(salt), adapted(key))
}

func composeSalted(function, value, salt string, saltLength int, after bool) string {
	f := digestFunction(function)
	if f == nil || saltLength < 0 || saltLength > maxSalt {
		return ""
	}
	size := f().Size()
	s, ok := saltBytes(salt, saltLength)
	if !ok {
		return ""
	}
	digest, ok := encoded(value, size)
	if !ok {
		// The digest has the salt around it, which may be told apart as well.
		inside := orElse(len(s), saltLength)
		if digest, ok = encoded(value, size+inside); !ok {
			return ""
		}
		if after {
			digest, s = digest[:size], digest[size:]
		} else {
			s, digest = digest[:inside], digest[inside:]
		}
	}
	return fmt.Sprintf("%s%s$%s$%s", saltedPrefix, function,
		base64.RawStdEncoding.EncodeToString(s), base64.RawStdEncoding.EncodeToString(digest))
}

// functionName folds the ways to write a hash function: "HMAC-SHA-256", "SHA256".
func functionName(s string) string {
	return strings.TrimPrefix(strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s)), "hmac")
}

// encoded reads n bytes of hexadecimal or base64; n of 0 is any number.
func encoded(s string, n int) ([]byte, bool) {
	if b, err := hex.DecodeString(s); err == nil && (n == len(b) || n == 0) && len(b) >= minKey {
		return b, true
	}
	b, ok := anyBase64(s)
	return b, ok && (n == len(b) || n == 0) && len(b) > 0
}

// saltBytes reads a salt of n bytes; n of 0 is any number.
func saltBytes(s string, n int) ([]byte, bool) {
	if b, ok := anyBase64(s); ok && (n == len(b) || n == 0) {
		return b, true
	}
	if b, err := hex.DecodeString(s); err == nil && n == len(b) {
		return b, true
	}
	return []byte(s), n == 0 || n == len(s) || s == ""
}

// ParseStored returns a stored string in the contract's form, which Stored reads
// back to a string that the same passwords match. What the contract cannot
// express has the method "other" and the stored string as its Value. Errors:
// ErrMalformed, ErrCost.
func ParseStored(stored string) (Hash, error) {
	if err := Usable(stored); err != nil {
		return Hash{}, err
	}
	for _, express := range []func(string) (Hash, bool){expressArgon2, expressBcrypt, expressPBKDF2, expressSHA, expressSalted, expressLDAP} {
		if h, ok := express(stored); ok {
			return h, nil
		}
	}
	return Hash{Value: stored, Config: HashConfig{Method: methodOther}}, nil
}

func expressArgon2(stored string) (Hash, bool) {
	h, err := parseArgon2(stored)
	if err != nil || h.variant != "argon2id" {
		return Hash{}, false
	}
	return Hash{Value: standard(h.key), Config: HashConfig{Method: methodArgon2, Argon2: &Argon2Config{
		Salt: standard(h.salt), SaltLength: len(h.salt), Iterations: int(h.time), MemoryKiB: int(h.memory),
		Parallelism: int(h.lanes), KeyLength: len(h.key),
	}}}, true
}

func expressBcrypt(stored string) (Hash, bool) {
	plain, long, err := parseBcrypt(stored)
	if err != nil || long {
		return Hash{}, false
	}
	cost, err := bcrypt.Cost([]byte(plain))
	return Hash{Value: stored, Config: HashConfig{Method: methodBcrypt, Bcrypt: &BcryptConfig{Cost: cost}}}, err == nil
}

func expressPBKDF2(stored string) (Hash, bool) {
	parts, ok := fields(stored, 4)
	if !ok || !strings.HasPrefix(parts[0], "pbkdf2") {
		return Hash{}, false
	}
	name := orElse(strings.TrimPrefix(strings.TrimPrefix(parts[0], "pbkdf2"), "-"), "sha1")
	function := functions[name]
	if function == nil {
		return Hash{}, false
	}
	d, err := parseDerived(function, parts[1], parts[2], parts[3])
	return Hash{Value: standard(d.key), Config: HashConfig{Method: methodPBKDF2, PBKDF2: &PBKDF2Config{
		Function: name, Salt: standard(d.salt), SaltLength: len(d.salt), Iterations: d.rounds, KeyLength: len(d.key),
	}}}, err == nil
}

// expressSHA expresses this project's own method sha. It comes back as a salted
// digest of either order, and is hashed anew at the next sign-in.
func expressSHA(stored string) (Hash, bool) {
	if !isSHA(stored) {
		return Hash{}, false
	}
	return expressSalted(saltedPrefix + strings.TrimPrefix(stored, "$"))
}

func expressSalted(stored string) (Hash, bool) {
	if !strings.HasPrefix(stored, saltedPrefix) {
		return Hash{}, false
	}
	_, salt, sum, err := parseSalted(stored)
	name := strings.Split(stored, "$")[2]
	return saltedHash(name, standard(sum), standard(salt), len(salt), false), err == nil
}

// expressLDAP expresses "{SSHA}..." and its like; for a digest of the password
// and then the salt, both in the value.
func expressLDAP(stored string) (Hash, bool) {
	scheme, text, _ := strings.Cut(strings.TrimPrefix(stored, "{"), "}")
	scheme = strings.ToLower(scheme)
	name, salted := scheme, false
	for _, s := range []string{"sha", "md5"} {
		if rest, ok := strings.CutPrefix(scheme, "s"+s); ok {
			name, salted = s+rest, true
		}
	}
	if name == "sha" {
		name = "sha1"
	}
	function := digestFunction(name)
	if function == nil || stored[0] != '{' {
		return Hash{}, false
	}
	b, ok := anyBase64(text)
	return saltedHash(name, standard(b), "", len(b)-function().Size(), salted), ok
}

func saltedHash(function, value, salt string, n int, after bool) Hash {
	h := Hash{Value: value, Config: HashConfig{Method: methodSHA}}
	if function == "md5" {
		h.Config.Method, h.Config.MD5 = methodMD5, &MD5Config{Salt: salt, SaltLength: n, SaltAfterDigestInHash: after}
		return h
	}
	h.Config.SHA = &SHAConfig{Function: function, Salt: salt, SaltLength: n, SaltAfterDigestInHash: after}
	return h
}

func standard(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
