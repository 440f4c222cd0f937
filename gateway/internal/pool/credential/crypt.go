package credential

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"hash"
	"strings"
)

// The bounds of the crypt(3) family. Rounds of sha-crypt read the password more
// than once, so half a kilobyte of it counts.
const (
	shaCryptRounds    = 5000 // when the string does not say
	shaCryptMinRounds = 1000
	shaCryptMaxRounds = 1_000_000
	shaCryptSalt      = 16
	md5CryptSalt      = 8
	phpassMaxLog      = 20
)

// cryptAlphabet is base64 of crypt(3), the lowest six bits first.
const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// The orders in which crypt(3) writes the bytes of a digest.
var (
	shaCrypt256 = cyclic(32, 10, 20)
	shaCrypt512 = cyclic(64, 21, 42)
	md5Crypt    = []int{12, 6, 0, 13, 7, 1, 14, 8, 2, 15, 9, 3, 5, 10, 4, 11}
)

// cyclic is the order of sha-crypt: groups of three bytes, size/3 apart, that
// change places from one to the next.
func cyclic(size, second, third int) []int {
	var order []int
	a, b, c := 0, second, third
	for range size / 3 {
		order = append(order, c, b, a)
		if size == 64 {
			a, b, c = b+1, c+1, a+1
		} else {
			a, b, c = c+1, a+1, b+1
		}
	}
	if size == 64 {
		return append(order, 63)
	}
	return append(order, 30, 31)
}

// cryptText writes a digest as crypt(3) does.
func cryptText(sum []byte, order []int) string {
	ordered := make([]byte, len(order))
	for i, from := range order {
		ordered[i] = sum[from]
	}
	var b strings.Builder
	for len(ordered) > 0 {
		n := min(3, len(ordered))
		v := 0
		for i := range n {
			v |= int(ordered[i]) << (8 * i)
		}
		for range n + 1 {
			b.WriteByte(cryptAlphabet[v&63])
			v >>= 6
		}
		ordered = ordered[n:]
	}
	return b.String()
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// readSHACrypt reads "$6$rounds=5000$salt$digest" and "$5$..." (U. Drepper, Unix
// crypt using SHA-256 and SHA-512), with or without the rounds.
func readSHACrypt(function func() hash.Hash, order []int) func(string) (match, error) {
	return func(stored string) (match, error) {
		parts, _ := fields(stored, 0)
		rounds := shaCryptRounds
		if len(parts) == 4 {
			text, ok := strings.CutPrefix(parts[1], "rounds=")
			n, err := number(text)
			if !ok || err != nil || n < shaCryptMinRounds {
				return nil, orElseMalformed(err)
			}
			rounds, parts = n, append(parts[:1], parts[2:]...)
		}
		switch {
		case len(parts) != 3 || len(parts[1]) > shaCryptSalt,
			len(parts[2]) != len(cryptText(make([]byte, 64), order)) || !within(parts[2], cryptAlphabet):
			return nil, ErrMalformed
		case rounds > shaCryptMaxRounds:
			return nil, ErrCost
		}
		salt, want := []byte(parts[1]), parts[2]
		return func(password string) bool {
			return same(cryptText(shaCrypt(function, []byte(password), salt, rounds), order), want)
		}, nil
	}
}

func orElseMalformed(err error) error {
	if err == nil {
		return ErrMalformed
	}
	return err
}

// shaCrypt follows the steps of the description, whose numbers stand beside.
func shaCrypt(function func() hash.Hash, password, salt []byte, rounds int) []byte {
	h := function()
	sum := func(parts ...[]byte) []byte {
		h.Reset()
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	b := sum(password, salt, password) // 4-8
	parts := [][]byte{password, salt, fill(b, len(password))}
	for n := len(password); n > 0; n >>= 1 { // 11
		if n&1 != 0 {
			parts = append(parts, b)
		} else {
			parts = append(parts, password)
		}
	}
	a := sum(parts...)                                                   // 12
	p := fill(sum(bytes.Repeat(password, len(password))), len(password)) // 13-16
	s := fill(sum(bytes.Repeat(salt, 16+int(a[0]))), len(salt))          // 17-20
	for i := range rounds {                                              // 21
		h.Reset()
		odd := i&1 != 0
		write(h, p, odd)
		write(h, a, !odd)
		write(h, s, i%3 != 0)
		write(h, p, i%7 != 0)
		write(h, a, odd)
		write(h, p, !odd)
		a = h.Sum(a[:0])
	}
	return a
}

func write(h hash.Hash, b []byte, when bool) {
	if when {
		h.Write(b)
	}
}

// fill repeats a digest until there are n bytes.
func fill(sum []byte, n int) []byte {
	return bytes.Repeat(sum, n/len(sum)+1)[:n]
}

// readMD5Crypt reads "$1$salt$digest" (P.-H. Kamp, FreeBSD) and Apache's
// "$apr1$salt$digest", which differ by that prefix alone.
func readMD5Crypt(stored string) (match, error) {
	parts, ok := fields(stored, 3)
	if !ok || len(parts[1]) > md5CryptSalt || len(parts[2]) != 22 || !within(parts[2], cryptAlphabet) {
		return nil, ErrMalformed
	}
	magic, salt, want := []byte("$"+parts[0]+"$"), []byte(parts[1]), parts[2]
	return func(password string) bool {
		return same(cryptText(md5CryptSum([]byte(password), magic, salt), md5Crypt), want)
	}, nil
}

func md5CryptSum(password, magic, salt []byte) []byte {
	h := md5.New()
	h.Write(password)
	h.Write(salt)
	h.Write(password)
	b := h.Sum(nil)
	h.Reset()
	h.Write(password)
	h.Write(magic)
	h.Write(salt)
	h.Write(fill(b, len(password)))
	for n := len(password); n > 0; n >>= 1 {
		if n&1 != 0 {
			h.Write([]byte{0})
		} else {
			h.Write(password[:1])
		}
	}
	a := h.Sum(nil)
	for i := range 1000 {
		h.Reset()
		odd := i&1 != 0
		write(h, password, odd)
		write(h, a, !odd)
		write(h, salt, i%3 != 0)
		write(h, password, i%7 != 0)
		write(h, a, odd)
		write(h, password, !odd)
		a = h.Sum(a[:0])
	}
	return a
}

// readPHPass reads the portable hashes of phpass, as WordPress ("$P$") and phpBB
// ("$H$") have them: a character for the logarithm of the rounds, eight of salt,
// 22 of digest.
func readPHPass(stored string) (match, error) {
	rest := stored[len("$P$"):]
	if len(rest) != 1+8+22 || !within(rest[9:], cryptAlphabet) {
		return nil, ErrMalformed
	}
	log := strings.IndexByte(cryptAlphabet, rest[0])
	switch {
	case log < 7 || log > 30:
		return nil, ErrMalformed
	case log > phpassMaxLog:
		return nil, ErrCost
	}
	salt, want := []byte(rest[1:9]), rest[9:]
	return func(password string) bool {
		h := md5.New()
		h.Write(salt)
		h.Write([]byte(password))
		sum := h.Sum(nil)
		for range 1 << log {
			h.Reset()
			h.Write(sum)
			h.Write([]byte(password))
			sum = h.Sum(sum[:0])
		}
		return same(cryptText(sum, inOrder), want)
	}, nil
}

var inOrder = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
