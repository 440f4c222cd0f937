package credential_test

import (
	_ "embed"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/google/go-cmp/cmp"
)

// foreignTable was made by testdata/vectors.py: what made it, hash, password.
//
//go:embed testdata/foreign.tsv
var foreignTable string

type vector struct{ source, stored, password string }

func vectors(t testing.TB) []vector {
	t.Helper()
	var vs []vector
	for line := range strings.Lines(foreignTable) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cells) != 3 {
			t.Fatalf("testdata/foreign.tsv: %q", line)
		}
		vs = append(vs, vector{cells[0], cells[1], cells[2]})
	}
	if len(vs) < 90 {
		t.Fatalf("testdata/foreign.tsv has %d rows", len(vs))
	}
	return vs
}

// TestForeign checks hashes that other programs made.
func TestForeign(t *testing.T) {
	t.Parallel()
	v := credential.NewVerifier(credential.Config{})
	for _, tc := range vectors(t) {
		t.Run(tc.stored[:min(len(tc.stored), 24)], func(t *testing.T) {
			t.Parallel()
			if !check(t, v, tc.stored, tc.password) {
				t.Errorf("%s: the right password does not match %s", tc.source, tc.stored)
			}
			_, last := utf8.DecodeLastRuneInString(tc.password)
			for _, wrong := range []string{tc.password + ".", strings.ToUpper(tc.password), tc.password[:len(tc.password)-last], ""} {
				truncates := strings.HasPrefix(tc.stored, "$2") && len(tc.password) > 72
				if !truncates && check(t, v, tc.stored, wrong) {
					t.Errorf("%s: %q matches", tc.source, wrong)
				}
			}
			for _, m := range []credential.Method{credential.Argon2, credential.Bcrypt, credential.PBKDF2, credential.SHA} {
				if credential.Current(m, tc.stored) {
					t.Errorf("%s is current for %s", tc.stored, m)
				}
			}
		})
	}
}

// TestForeignFormsAreAllThere holds the table to one row of every form.
func TestForeignFormsAreAllThere(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{
		"$argon2id$", "$argon2i$", "argon2$argon2i$", "$2a$", "$2b$", "$2y$", "$scrypt$", "$firescrypt$",
		"$pbkdf2$", "$pbkdf2-sha256$", "$pbkdf2-sha512$", "pbkdf2_sha1$", "pbkdf2_sha256$",
		"$1$", "$apr1$", "$5$", "$5$rounds=", "$6$", "$6$rounds=", "$P$", "$H$", "{CRYPT}",
		"{PBKDF2}", "{PBKDF2-SHA256}", "{PBKDF2-SHA512}", "{MD5}", "{SMD5}", "{SHA}", "{SSHA}",
		"{SHA256}", "{SSHA256}", "{SHA384}", "{SSHA384}", "{SHA512}", "{SSHA512}",
	} {
		if !strings.Contains(foreignTable, "\t"+prefix) {
			t.Errorf("no known answer of %s", prefix)
		}
	}
}

// TestTypedSpelling tries a password that its normal form differs from.
func TestTypedSpelling(t *testing.T) {
	t.Parallel()
	g := &gate{}
	v := credential.NewVerifier(credential.Config{Gate: g})
	for name, stored := range map[string]string{ // of SHA-1
		"as typed": "{SHA}VY5C9OYibIubvyrSXP/i8eWfpSU=", // printf 'ﬁsh' | openssl sha1 -binary | base64
		"nobody":   "",
	} {
		g.passed = 0
		right, err := v.Check(t.Context(), "t", credential.SHA, stored, "ﬁsh")
		if right != (stored != "") || err != nil || g.passed != 1 {
			t.Errorf("%s: Check = %v, %v after %d passes", name, right, err, g.passed)
		}
	}
	made, err := v.Make(t.Context(), "t", credential.SHA, "ﬁsh")
	if err != nil || !check(t, v, made, "fish") || !check(t, v, made, "ﬁsh") {
		t.Errorf("a new hash is not of the normal form: %v", err)
	}
}

// TestDamaged takes every known answer apart.
func TestDamaged(t *testing.T) {
	t.Parallel()
	for _, tc := range vectors(t) {
		for cut := range len(tc.stored) - 1 {
			err := credential.Usable(tc.stored[:cut])
			if err != nil && !errors.Is(err, credential.ErrMalformed) {
				t.Errorf("Usable(%q) = %v", tc.stored[:cut], err)
			}
		}
		for _, bad := range []string{tc.stored + "$", tc.stored + "\n", tc.stored + "é", " " + tc.stored, tc.stored + tc.stored, "{CRYPT}{SHA}" + tc.stored} {
			if err := credential.Usable(bad); !errors.Is(err, credential.ErrMalformed) || errors.Is(err, credential.ErrCost) {
				t.Errorf("Usable(%q) = %v", bad, err)
			}
		}
	}
}

func TestUsable(t *testing.T) {
	t.Parallel()
	const salt, key = "MDEyMzQ1Njc4OWFiY2RlZg", "wDNE5gqiH4ew7LtrkQPUTUvvcZ84G2BPNiEvCTG5nDA"
	const bcryptTail = "QBu8WT/hsFJvMdas7Bowm.M6R6hZqrCjYXaYWtpIpjy7JESi5HJn."
	for _, tc := range []struct {
		stored string
		want   error
	}{
		{"$argon2id$v=19$m=262144,t=4,p=1$" + salt + "$" + key, nil},
		{"$argon2id$v=19$m=262145,t=1,p=1$" + salt + "$" + key, credential.ErrCost},
		{"$argon2id$v=19$m=262144,t=5,p=1$" + salt + "$" + key, credential.ErrCost},
		{"$argon2id$v=19$m=1024,t=17,p=1$" + salt + "$" + key, credential.ErrCost},
		{"$argon2id$v=19$m=1024,t=1,p=17$" + salt + "$" + key, credential.ErrCost},
		{"$argon2d$v=19$m=1024,t=1,p=1$" + salt + "$" + key, credential.ErrMalformed},
		{"$2b$15$" + bcryptTail, nil},
		{"$2b$16$" + bcryptTail, credential.ErrCost},
		{"$2x$04$" + bcryptTail, credential.ErrMalformed},
		{"$2b$04$!" + bcryptTail[1:], credential.ErrMalformed},
		{"$bcrypt-sha256$2b,16$m32MkUal4PWQYSPETOXm1e$eSdvnsUiCmNdy1fZSwmApDZPn6kklum", credential.ErrCost},
		{"$scrypt$ln=17,r=8,p=1$" + salt + "$" + key, nil},
		{"$scrypt$ln=18,r=8,p=1$" + salt + "$" + key, credential.ErrCost},
		{"$scrypt$ln=16,r=8,p=9$" + salt + "$" + key, credential.ErrCost},
		{"$scrypt$ln=99,r=8,p=1$" + salt + "$" + key, credential.ErrCost},
		{"$scrypt$ln=4,r=9223372036854775807,p=1$" + salt + "$" + key, credential.ErrCost},
		{"$scrypt$ln=4,r=8,p=9223372036854775807$" + salt + "$" + key, credential.ErrCost},
		{"$scrypt$ln=0,r=8,p=1$" + salt + "$" + key, credential.ErrMalformed},
		{"$scrypt$ln=4,r=-8,p=1$" + salt + "$" + key, credential.ErrMalformed},
		{"$firescrypt$ln=18,r=8,p=1$" + salt + "$" + key + "$Bw$" + key, credential.ErrCost},
		{"$firescrypt$ln=14,r=8,p=1$" + salt + "$" + key + "$Bw$" + salt, credential.ErrMalformed},
		{"$pbkdf2-sha256$4000000$" + salt + "$" + key, nil},
		{"$pbkdf2-sha256$4000001$" + salt + "$" + key, credential.ErrCost},
		{"$pbkdf2-sha256$99999999999999999999$" + salt + "$" + key, credential.ErrCost},
		{"$pbkdf2$2000001$" + salt + "$" + key, credential.ErrCost}, // two blocks of SHA-1
		{"$pbkdf2-sha512$0$" + salt + "$" + key, credential.ErrMalformed},
		{"$pbkdf2-sha512$-1$" + salt + "$" + key, credential.ErrMalformed},
		{"$pbkdf2-sha512$007$" + salt + "$" + key, credential.ErrMalformed},
		{"pbkdf2_sha256$5000000$salt$" + key + "=", credential.ErrCost},
		{"pbkdf2_sha256$1000$salt$" + key, credential.ErrMalformed},
		{"{PBKDF2-SHA256}5000000$" + salt + "$" + key, credential.ErrCost},
		{"$6$rounds=1000000$salt$" + strings.Repeat("a", 86), nil},
		{"$6$rounds=1000001$salt$" + strings.Repeat("a", 86), credential.ErrCost},
		{"$6$rounds=999$salt$" + strings.Repeat("a", 86), credential.ErrMalformed},
		{"$6$saltsaltsaltsalts$" + strings.Repeat("a", 86), credential.ErrMalformed},
		{"$6$salt$" + strings.Repeat("a", 85), credential.ErrMalformed},
		{"$5$salt$" + strings.Repeat("a", 86), credential.ErrMalformed},
		{"$1$saltsalts$" + strings.Repeat("a", 22), credential.ErrMalformed},
		{"$P$I" + strings.Repeat("a", 30), nil},
		{"$P$L" + strings.Repeat("a", 30), credential.ErrCost},
		{"$P$1" + strings.Repeat("a", 30), credential.ErrMalformed},
		{"$P$", credential.ErrMalformed},
		{"{sha}g5s+zTnFrEEYok4+vuNAGw9i0fw=", nil},
		{"{SHA}g5s+zTnFrEEYok4+vuNAGw9i0fw=AAAA", credential.ErrMalformed},
		{"{SSHA}AAAA", credential.ErrMalformed},
		{"{CLEARTEXT}secret", credential.ErrMalformed},
		{"{CRYPT}rl.3StKT.4T8M", credential.ErrMalformed}, // DES
		{strings.Repeat("{CRYPT}", 100), credential.ErrMalformed},
		{"{SSHA}" + strings.Repeat("A", 4000), credential.ErrMalformed},
		{"$salted$sha3$$" + key, credential.ErrMalformed},
		{"", credential.ErrMalformed},
	} {
		err := credential.Usable(tc.stored)
		if !errors.Is(err, tc.want) || errors.Is(err, credential.ErrCost) != errors.Is(tc.want, credential.ErrCost) {
			t.Errorf("Usable(%.80q) = %v, want %v", tc.stored, err, tc.want)
		}
	}
}

// FuzzStored gives Usable and ParseStored whatever comes: nothing panics, and
// what the contract's form makes of a hash is usable again and stays the same.
func FuzzStored(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.stored)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		err := credential.Usable(stored)
		if err != nil && !errors.Is(err, credential.ErrMalformed) {
			t.Fatalf("Usable(%q) = %v", stored, err)
		}
		h, parseErr := credential.ParseStored(stored)
		if (err == nil) != (parseErr == nil) {
			t.Fatalf("%q: Usable %v, ParseStored %v", stored, err, parseErr)
		}
		if err != nil {
			return
		}
		again, err := h.Stored()
		if err != nil {
			t.Fatalf("%q as %+v: %v", stored, h, err)
		}
		h2, err := credential.ParseStored(again)
		if err != nil {
			t.Fatalf("%q as %q: %v", stored, again, err)
		}
		third, err := h2.Stored()
		if diff := cmp.Diff(again, third); diff != "" || err != nil {
			t.Fatalf("%q does not settle: %v\n%s", stored, err, diff)
		}
	})
}
