package credential_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
)

const (
	polish = "Zażółć gęślą jaźń"
	long   = "correct horse battery staple correct horse battery staple correct horse battery staple correct horse battery staple "
)

// known are hashes made by other programs: passlib 1.7.4 with argon2-cffi and
// bcrypt, Python's hashlib, and the reference implementation of argon2.
var known = []struct{ name, stored, password string }{
	{"argon2id of passlib", "$argon2id$v=19$m=1024,t=3,p=2$jXFOqVWKsXYOgZBSSolxDg$maVgUkzQhpwmK1ss/viVDg", polish},
	{"argon2i of passlib", "$argon2i$v=19$m=512,t=1,p=1$vxcCwHgPYQzBmJMSwtgbQw$l7EWPfGHULVaxrktFbtmvA", polish},
	{"argon2id of the reference", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password"},
	{"bcrypt 2b", "$2b$04$QBu8WT/hsFJvMdas7Bowm.M6R6hZqrCjYXaYWtpIpjy7JESi5HJn.", polish},
	{"bcrypt 2y", "$2y$04$9cwDsu824CEctnr6kuPe8.bIZGDA2zCclncl6Ij2InOufy26YWlXe", polish},
	{"bcrypt of a long password", "$bcrypt-sha256$2b,4$m32MkUal4PWQYSPETOXm1e$eSdvnsUiCmNdy1fZSwmApDZPn6kklum", long},
	{"pbkdf2", "$pbkdf2-sha256$1000$/l.r1br3fo/xntNa610r5Q$wDNE5gqiH4ew7LtrkQPUTUvvcZ84G2BPNiEvCTG5nDA", polish},
	{"sha", "$sha512$MDEyMzQ1Njc4OWFiY2RlZg$7KQhOr5C+KZOyOoQikd1CNu2uX93iWabahN/QqAxYgXR5f6MVswxSrpT/Dj2AklndfmozAtDru0LTxArkwUQ0A", polish},
}

func check(t *testing.T, v *credential.Verifier, stored, password string) bool {
	t.Helper()
	right, err := v.Check(t.Context(), "t", credential.Argon2, stored, password)
	if err != nil {
		t.Fatalf("Check(%s): %v", stored, err)
	}
	return right
}

func TestKnownAnswers(t *testing.T) {
	t.Parallel()
	v := credential.NewVerifier(credential.Config{})
	for _, tc := range known {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if !check(t, v, tc.stored, tc.password) {
				t.Error("the right password does not match")
			}
			for _, wrong := range []string{tc.password + ".", strings.ToUpper(tc.password), tc.password[:len(tc.password)-1], " ", ""} {
				if check(t, v, tc.stored, wrong) {
					t.Errorf("%q matches", wrong)
				}
			}
			if credential.Current(credential.Argon2, tc.stored) {
				t.Error("weaker or other parameters read as current")
			}
		})
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	v := credential.NewVerifier(credential.Config{})
	for _, m := range []credential.Method{credential.Argon2, credential.Bcrypt, credential.PBKDF2, credential.SHA} {
		for _, password := range []string{polish, long} {
			t.Run(fmt.Sprintf("%s/%d", m, len(password)), func(t *testing.T) {
				t.Parallel()
				stored, err := v.Make(t.Context(), "t", m, password)
				if err != nil {
					t.Fatal(err)
				}
				if !check(t, v, stored, password) {
					t.Errorf("%s does not match", stored)
				}
				if password == long && check(t, v, stored, password+"!") {
					t.Errorf("%s matches a longer password", stored)
				}
				if !credential.Current(m, stored) {
					t.Errorf("%s is not current", stored)
				}
			})
		}
	}
	if credential.Method("md5").Known() || !credential.Bcrypt.Known() {
		t.Error("Known")
	}
	if _, err := v.Make(t.Context(), "t", "md5", "x"); err == nil {
		t.Error("md5 makes hashes")
	}
}

func TestSalt(t *testing.T) {
	t.Parallel()
	v := credential.NewVerifier(credential.Config{})
	for _, m := range []credential.Method{credential.Argon2, credential.SHA} {
		seen := map[string]bool{}
		for range 4 {
			stored, err := v.Make(t.Context(), "t", m, "x")
			if err != nil || seen[stored] {
				t.Errorf("%s again, %v", stored, err)
			}
			seen[stored] = true
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	const salt, key = "MDEyMzQ1Njc4OWFiY2RlZg", "wDNE5gqiH4ew7LtrkQPUTUvvcZ84G2BPNiEvCTG5nDA"
	v := credential.NewVerifier(credential.Config{})
	for _, stored := range []string{
		"plain",
		"$",
		"$1$salt$digest",
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt,
		"$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + key,
		"$argon2d$v=19$m=19456,t=2,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=262144,t=16,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=1024,t=4294967295,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + key,
		"$argon2id$v=19$m=19456,t=2,p=257$" + salt + "$" + key,
		"$argon2id$v=19$m=7,t=2,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=19456,t=2,p=1,data=AAAA$" + salt + "$" + key,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key + "=",
		"$argon2id$v=19$m=19456,t=2,p=1$c2hvcnQ$" + key,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$",
		"$2b$16$QBu8WT/hsFJvMdas7Bowm.M6R6hZqrCjYXaYWtpIpjy7JESi5HJn.",
		"$2b$04$QBu8WT/hsFJvMdas7Bowm.M6R6hZqrCjYXaYWtpIpjy7JESi5HJn",
		"$2",
		"$bcrypt-sha256$v=2,t=2b,r=4$m32MkUal4PWQYSPETOXm1e$eSdvnsUiCmNdy1fZSwmApDZPn6kklum",
		"$bcrypt-sha256$2b,31$m32MkUal4PWQYSPETOXm1e$eSdvnsUiCmNdy1fZSwmApDZPn6kklum",
		"$pbkdf2-sha256$100000000$" + salt + "$" + key,
		"$pbkdf2-sha256$0$" + salt + "$" + key,
		"$pbkdf2-sha256$1000$" + salt + "$",
		"$sha512$" + salt + "$" + key,
	} {
		right, err := v.Check(t.Context(), "t", credential.SHA, stored, "password")
		if right || !errors.Is(err, credential.ErrMalformed) {
			t.Errorf("Check(%q) = %v, %v; want ErrMalformed", stored, right, err)
		}
		if credential.Current(credential.Argon2, stored) {
			t.Errorf("%q is current", stored)
		}
	}
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, in, want string
		ok             bool
	}{
		{"plain", "password", "password", true},
		{"decomposed", "cafe\u0301", "caf\u00e9", true},
		{"compatibility", "ﬁn①", "fin1", true},
		{"blanks stay", "  a b  ", "  a b  ", true},
		{"empty", "", "", false},
		{"not UTF-8", "a\xff", "", false},
		{"128 characters", strings.Repeat("日", 128), strings.Repeat("日", 128), true},
		{"129 characters", strings.Repeat("a", 129), "", false},
		{"long in bytes", strings.Repeat("\u200b", 200), "", false},
		{"grows over the bound", strings.Repeat("\ufdfa", 20), "", false},
	} {
		got, ok := credential.Normalize(tc.in)
		if got != tc.want || ok != tc.ok {
			t.Errorf("%s: Normalize(%q) = %q, %v", tc.name, tc.in, got, ok)
		}
	}
	v := credential.NewVerifier(credential.Config{})
	stored, err := v.Make(t.Context(), "t", credential.SHA, "cafe\u0301")
	if err != nil {
		t.Fatal(err)
	}
	if !check(t, v, stored, "caf\u00e9") {
		t.Error("the composed spelling does not match")
	}
}

// gate counts what passes it.
type gate struct {
	passed int
	err    error
}

func (g *gate) Do(_ context.Context, _ string, fn func()) error {
	if g.err != nil {
		return g.err
	}
	g.passed++
	fn()
	return nil
}

// TestSameWork holds every refusal to exactly one pass of the gate.
func TestSameWork(t *testing.T) {
	t.Parallel()
	g := &gate{}
	v := credential.NewVerifier(credential.Config{Gate: g})
	stored, err := v.Make(t.Context(), "t", credential.SHA, "right")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ stored, password string }{
		"wrong":               {stored, "wrong"},
		"nobody":              {"", "wrong"},
		"nobody, the dummy's": {"", "-"},
		"too long":            {stored, strings.Repeat("a", 5000)},
		"not text":            {stored, "\xff"},
		"empty":               {stored, ""},
	} {
		g.passed = 0
		right, err := v.Check(t.Context(), "t", credential.SHA, tc.stored, tc.password)
		if right || err != nil || g.passed != 1 {
			t.Errorf("%s: Check = %v, %v after %d passes", name, right, err, g.passed)
		}
	}
	g.passed = 0
	if right, err := v.Check(t.Context(), "t", credential.SHA, "damaged", "x"); right || !errors.Is(err, credential.ErrMalformed) || g.passed != 1 {
		t.Errorf("damaged: Check = %v, %v after %d passes", right, err, g.passed)
	}
	g.err = errors.New("full")
	if _, err := v.Check(t.Context(), "t", credential.Argon2, "", "x"); !errors.Is(err, g.err) {
		t.Errorf("a full gate gives %v", err)
	}
	if _, err := v.Make(t.Context(), "t", credential.Argon2, "x"); !errors.Is(err, g.err) {
		t.Errorf("a full gate gives %v", err)
	}
}

func TestUsed(t *testing.T) {
	t.Parallel()
	v := credential.NewVerifier(credential.Config{})
	var former []string
	for _, p := range []string{"one", "two", "three"} {
		s, err := v.Make(t.Context(), "t", credential.SHA, p)
		if err != nil {
			t.Fatal(err)
		}
		former = append(former, s)
	}
	for password, want := range map[string]bool{"one": true, "three": true, "four": false} {
		if got, err := v.Used(t.Context(), "t", former, password); got != want || err != nil {
			t.Errorf("Used(%q) = %v, %v", password, got, err)
		}
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	var waited time.Duration
	g := &gate{}
	v := credential.NewVerifier(credential.Config{
		Gate: g,
		Now:  func() time.Time { now = now.Add(7 * time.Millisecond); return now }, // so a hash takes 7 ms
		Wait: func(_ context.Context, d time.Duration) error { waited += d; return nil },
	})
	start := now
	if err := v.Hold(t.Context(), "t", start); err != nil {
		t.Fatal(err)
	}
	if g.passed != 1 {
		t.Errorf("the first Hold measured %d times", g.passed)
	}
	if waited != 0 {
		t.Errorf("measuring took longer than the floor, and Hold waited %v more", waited)
	}
	start = now
	if err := v.Hold(t.Context(), "t", start); err != nil || waited != 3*time.Millisecond || g.passed != 1 {
		t.Errorf("the second Hold: %v, waited %v, measured %d times; want 10 ms less the 7 ms gone", err, waited, g.passed)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	plain := credential.NewVerifier(credential.Config{})
	if err := plain.Hold(ctx, "t", time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Hold gives %v", err)
	}
}

func BenchmarkCheck(b *testing.B) {
	v := credential.NewVerifier(credential.Config{})
	for _, m := range []credential.Method{credential.Argon2, credential.Bcrypt, credential.PBKDF2, credential.SHA} {
		stored, err := v.Make(b.Context(), "t", m, "correct horse")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(m), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if right, err := v.Check(b.Context(), "t", m, stored, "wrong horse"); right || err != nil {
					b.Fatal(right, err)
				}
			}
		})
	}
}
