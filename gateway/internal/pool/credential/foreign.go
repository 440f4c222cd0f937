package credential

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"slices"
	"strings"
)

// foreign lists the forms that are read and never written: hashes that came by
// import. Never Current, they live until the next sign-in.
//
// Key derivation is golang.org/x/crypto's (argon2, bcrypt, scrypt) and the
// standard library's (PBKDF2). The crypt(3) family and phpass are written out
// here after their published descriptions: the one library that is kept up,
// go-crypt/x, has neither $apr1$ nor phpass, and the rest is fifty lines.
var foreign = []struct {
	prefix string // in any case, when it is in braces
	read   func(stored string) (match, error)
}{
	{"$scrypt$", readScrypt},
	{"$firescrypt$", readFirebase},
	{"$pbkdf2$", readPasslib(sha1.New)},
	{"$pbkdf2-sha224$", readPasslib(sha256.New224)},
	{"$pbkdf2-sha384$", readPasslib(sha512.New384)},
	{"$pbkdf2-sha512$", readPasslib(sha512.New)},
	{"pbkdf2_sha1$", readDjango(sha1.New)},
	{"pbkdf2_sha256$", readDjango(sha256.New)},
	{"$5$", readSHACrypt(sha256.New, shaCrypt256)},
	{"$6$", readSHACrypt(sha512.New, shaCrypt512)},
	{"$1$", readMD5Crypt},
	{"$apr1$", readMD5Crypt},
	{"$P$", readPHPass},
	{"$H$", readPHPass},
	{saltedPrefix, readSalted},
	{"{PBKDF2}", readLDAPDerived(sha1.New)},
	{"{PBKDF2-SHA256}", readLDAPDerived(sha256.New)},
	{"{PBKDF2-SHA512}", readLDAPDerived(sha512.New)},
	{"{MD5}", readLDAP(md5.New, false)},
	{"{SMD5}", readLDAP(md5.New, true)},
	{"{SHA}", readLDAP(sha1.New, false)},
	{"{SSHA}", readLDAP(sha1.New, true)},
	{"{SHA256}", readLDAP(sha256.New, false)},
	{"{SSHA256}", readLDAP(sha256.New, true)},
	{"{SHA384}", readLDAP(sha512.New384, false)},
	{"{SSHA384}", readLDAP(sha512.New384, true)},
	{"{SHA512}", readLDAP(sha512.New, false)},
	{"{SSHA512}", readLDAP(sha512.New, true)},
}

// wrappers stand before a whole stored hash of another form.
var wrappers = []string{"{CRYPT}", "{ARGON2}", "argon2$" /* Django */}

func readForeign(stored string) (match, error) {
	for _, w := range wrappers {
		if rest, ok := cutPrefix(stored, w); ok {
			// Django leaves out the "$" after its own.
			if !strings.HasPrefix(rest, "$") {
				rest = "$" + rest
			}
			return read(rest)
		}
	}
	for _, f := range foreign {
		if _, ok := cutPrefix(stored, f.prefix); ok {
			return f.read(stored)
		}
	}
	return nil, ErrMalformed
}

// cutPrefix ignores the case of a scheme in braces (RFC 2307).
func cutPrefix(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) {
		return s, false
	}
	head, rest := s[:len(prefix)], s[len(prefix):]
	return rest, head == prefix || prefix[0] == '{' && strings.EqualFold(head, prefix)
}

// readLDAP reads "{SSHA}base64(digest, salt)", where the digest is of the
// password and then the salt (OpenLDAP), and "{SHA}base64(digest)".
func readLDAP(function func() hash.Hash, salted bool) func(string) (match, error) {
	return func(stored string) (match, error) {
		_, text, _ := strings.Cut(stored, "}")
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
		size := function().Size()
		if err != nil || len(b) < size || len(b) > size+maxSalt || !salted && len(b) != size {
			return nil, ErrMalformed
		}
		want, salt := b[:size], b[size:]
		return func(password string) bool { return sumIs(function, want, []byte(password), salt) }, nil
	}
}

// saltedPrefix begins a form of this project for the contract's methods sha and
// md5: "$salted$function$salt$digest" in base64 without padding. The contract
// does not say on which side of the password the salt was, so both are tried.
const saltedPrefix = "$salted$"

func readSalted(stored string) (match, error) {
	function, salt, want, err := parseSalted(stored)
	if err != nil {
		return nil, err
	}
	return func(password string) bool {
		before := sumIs(function, want, salt, []byte(password))
		return sumIs(function, want, []byte(password), salt) || before
	}, nil
}

func parseSalted(stored string) (function func() hash.Hash, salt, want []byte, err error) {
	parts, ok := fields(stored, 4)
	if !ok {
		return nil, nil, nil, ErrMalformed
	}
	function = digestFunction(parts[1])
	enc := base64.RawStdEncoding.Strict()
	var err2 error
	salt, err = enc.DecodeString(parts[2])
	want, err2 = enc.DecodeString(parts[3])
	if function == nil || err != nil || err2 != nil || len(salt) > maxSalt || len(want) != function().Size() {
		return nil, nil, nil, ErrMalformed
	}
	return function, salt, want, nil
}

func digestFunction(name string) func() hash.Hash {
	if name == "md5" {
		return md5.New
	}
	return functions[name]
}

// sumIs tells whether the digest of the parts is want.
func sumIs(function func() hash.Hash, want []byte, parts ...[]byte) bool {
	h := function()
	h.Write(slices.Concat(parts...))
	return subtle.ConstantTimeCompare(h.Sum(nil), want) == 1
}
