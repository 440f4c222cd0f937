package vault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/vault"
)

func key(id string, fill byte) vault.Key {
	return vault.Key{ID: id, Secret: bytes.Repeat([]byte{fill}, vault.SecretSize)}
}

func ring(t testing.TB, list ...vault.Key) *vault.Ring {
	t.Helper()
	r, err := vault.New(list)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seal(t testing.TB, r *vault.Ring, plain, aad string) string {
	t.Helper()
	s, err := r.Seal([]byte(plain), aad)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	r := ring(t, key("a", 1))
	for _, plain := range []string{"", "x", strings.Repeat("long ", 1000)} {
		sealed := seal(t, r, plain, "here")
		if !strings.HasPrefix(sealed, "a.") {
			t.Errorf("sealed = %.20q, want it to name key a", sealed)
		}
		if len(plain) > 3 && strings.Contains(sealed, plain[:4]) {
			t.Error("the plain text shows")
		}
		got, err := r.Open(sealed, "here")
		if err != nil || string(got) != plain {
			t.Errorf("Open = %.20q, %v; want %.20q", got, err, plain)
		}
		if again := seal(t, r, plain, "here"); again == sealed {
			t.Error("two seals of one value are equal: the nonce repeats")
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	r := ring(t, key("a", 1), key("b", 2))
	sealed := seal(t, r, "secret", "here")
	_, body, _ := strings.Cut(sealed, ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(i int) string {
		b := bytes.Clone(raw)
		b[i] ^= 1
		return "a." + base64.RawURLEncoding.EncodeToString(b)
	}
	cases := []struct {
		name, sealed, aad string
		want              error
	}{
		{"another place", sealed, "there", vault.ErrBroken},
		{"key half of the nonce altered", flip(0), "here", vault.ErrBroken},
		{"gcm half of the nonce altered", flip(12), "here", vault.ErrBroken},
		{"text altered", flip(24), "here", vault.ErrBroken},
		{"tag altered", flip(len(raw) - 1), "here", vault.ErrBroken},
		{"cut", sealed[:len(sealed)-4], "here", vault.ErrBroken},
		{"only the nonce", "a." + base64.RawURLEncoding.EncodeToString(raw[:24]), "here", vault.ErrBroken},
		{"longer", sealed + "AAAA", "here", vault.ErrBroken},
		{"line break inside", sealed[:10] + "\n" + sealed[10:], "here", vault.ErrBroken},
		{"under another key of the ring", "b." + body, "here", vault.ErrBroken},
		{"unknown key", "c." + body, "here", vault.ErrUnknownKey},
		{"no key", body, "here", vault.ErrBroken},
		{"bad key id", "../a." + body, "here", vault.ErrBroken},
		{"empty", "", "", vault.ErrBroken},
		{"not base64", "a.!!!", "here", vault.ErrBroken},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := r.Open(c.sealed, c.aad)
			if !errors.Is(err, c.want) || got != nil {
				t.Errorf("Open = %q, %v; want nil, %v", got, err, c.want)
			}
		})
	}
}

func TestEverySingleCharacterCounts(t *testing.T) {
	t.Parallel()
	r := ring(t, key("a", 1))
	sealed := seal(t, r, "secret!", "here") // 47 bytes: the last character has spare bits
	for i := range sealed {
		for _, c := range []byte("AB-9") {
			if sealed[i] == c {
				continue
			}
			altered := sealed[:i] + string(c) + sealed[i+1:]
			if _, err := r.Open(altered, "here"); err == nil {
				t.Errorf("Open took %q at %d", c, i)
			}
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	before := ring(t, key("old", 1))
	sealed, mac, check := seal(t, before, "secret", "here"), before.MAC("code", "x"), before.CheckValue()

	after := ring(t, key("new", 2), key("old", 1))
	if got, err := after.Open(sealed, "here"); err != nil || string(got) != "secret" {
		t.Errorf("old value after rotation = %q, %v", got, err)
	}
	if !after.CheckMAC(mac, "code", "x") {
		t.Error("old mark refused after rotation")
	}
	if err := after.Verify(check); err != nil {
		t.Errorf("old check value after rotation: %v", err)
	}
	if s := seal(t, after, "x", ""); !strings.HasPrefix(s, "new.") || after.First() != "new" {
		t.Errorf("sealed by %.4q, first is %q; want the new key", s, after.First())
	}
	if bytes.Equal(after.MAC("code", "x"), mac) {
		t.Error("marks are still made with the old key")
	}

	gone := ring(t, key("new", 2))
	if _, err := gone.Open(sealed, "here"); !errors.Is(err, vault.ErrUnknownKey) {
		t.Errorf("old value without its key = %v, want ErrUnknownKey", err)
	}
	if gone.CheckMAC(mac, "code", "x") {
		t.Error("old mark holds without its key")
	}
	err := gone.Verify(check)
	if !errors.Is(err, vault.ErrUnknownKey) || !strings.Contains(err.Error(), "(new)") || !strings.Contains(err.Error(), "key old") {
		t.Errorf("Verify = %v; want it to name the ring's keys and the missing one", err)
	}
	same := ring(t, key("old", 9))
	if err := same.Verify(check); !errors.Is(err, vault.ErrBroken) {
		t.Errorf("Verify with another secret under the same id = %v, want ErrBroken", err)
	}
	if err := same.Verify(""); err == nil {
		t.Error("Verify took an empty check value")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		keys []vault.Key
		want string
	}{
		{"none", nil, "at least one"},
		{"short", []vault.Key{{ID: "a", Secret: []byte("short")}}, "5 bytes"},
		{"twice", []vault.Key{key("a", 1), key("a", 2)}, "key 2"},
		{"no id", []vault.Key{key("", 1)}, "id"},
		{"dot", []vault.Key{key("a.b", 1)}, "a.b"},
		{"long id", []vault.Key{key(strings.Repeat("a", 33), 1)}, "id"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := vault.New(c.keys); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("New = %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestMAC(t *testing.T) {
	t.Parallel()
	r := ring(t, key("a", 1))
	mac := r.MAC("code", "ab", "c")
	if len(mac) != 32 || !r.CheckMAC(mac, "code", "ab", "c") {
		t.Fatalf("mark of %d bytes is refused", len(mac))
	}
	wrong := bytes.Clone(mac)
	wrong[31] ^= 1
	for name, ok := range map[string]bool{
		"other purpose":     r.CheckMAC(mac, "other", "ab", "c"),
		"parts moved":       r.CheckMAC(mac, "code", "a", "bc"),
		"parts joined":      r.CheckMAC(mac, "code", "abc"),
		"one more":          r.CheckMAC(mac, "code", "ab", "c", ""),
		"purpose into part": r.CheckMAC(mac, "codeab", "c"),
		"altered":           r.CheckMAC(wrong, "code", "ab", "c"),
		"cut":               r.CheckMAC(mac[:31], "code", "ab", "c"),
		"empty":             r.CheckMAC(nil, "code", "ab", "c"),
	} {
		if ok {
			t.Errorf("%s: the mark holds", name)
		}
	}
}

func TestAADIsUnambiguous(t *testing.T) {
	t.Parallel()
	parts := []string{"", "a", "ab", "1:a", ":", "a1:b", "0:"}
	seen := map[string][4]string{}
	for _, a := range parts {
		for _, b := range parts {
			for _, c := range parts {
				for _, d := range parts {
					name, this := vault.AAD(a, b, c, d), [4]string{a, b, c, d}
					if other, ok := seen[name]; ok {
						t.Fatalf("%q and %q are both %q", this, other, name)
					}
					seen[name] = this
				}
			}
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	secret, id := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`), regexp.MustCompile(`^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$`)
	seen := map[string]bool{}
	for range 1000 {
		s, i, k := vault.NewSecret(), vault.NewID(), vault.GenerateKey()
		if !secret.MatchString(s) || !id.MatchString(i) {
			t.Fatalf("NewSecret = %q, NewID = %q", s, i)
		}
		for _, x := range []string{s, i, string(k.Secret)} {
			if seen[x] {
				t.Fatalf("%q came twice", x)
			}
			seen[x] = true
		}
	}
	if got, want := vault.Hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; got != want {
		t.Errorf("Hash(abc) = %s, want %s (FIPS 180-4 example)", got, want)
	}
	if _, err := hex.DecodeString(vault.NewID()); err != nil {
		t.Error(err)
	}
}

func BenchmarkSeal(b *testing.B) {
	r := ring(b, vault.GenerateKey())
	plain := make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Seal(plain, "here"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	r := ring(b, vault.GenerateKey())
	sealed := seal(b, r, strings.Repeat("x", 512), "here")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Open(sealed, "here"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckMAC(b *testing.B) {
	r := ring(b, vault.GenerateKey())
	mac := r.MAC("code", "tenant", "pool", "user", "12345678")
	b.ReportAllocs()
	for b.Loop() {
		if !r.CheckMAC(mac, "code", "tenant", "pool", "user", "12345678") {
			b.Fatal("refused")
		}
	}
}
