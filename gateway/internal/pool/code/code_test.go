package code_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

func TestTake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.issue(w.alice, code.Spec{
		Type: code.Activation, Address: "a@example.com", Metadata: json.RawMessage(`{"a":1}`), Data: json.RawMessage(`"x"`),
	})
	want := code.Code{
		Subject: w.alice, ID: made.ID, Type: code.Activation, Address: "a@example.com",
		Metadata: json.RawMessage(`{"a":1}`), Data: json.RawMessage(`"x"`),
		Made: w.clock.Now(), Expires: w.clock.Now().Add(time.Hour),
	}
	w.wrong(w.Take(w.here, kind, w.alice, code.Activation, "", other(made.Code)))
	for name, find := range map[string]func() (code.Code, error){
		"Peek": func() (code.Code, error) { return w.Peek(w.here, kind, w.alice, code.Activation, "", made.Code) },
		"Peek and address": func() (code.Code, error) {
			return w.Peek(w.here, kind, w.alice, code.Activation, want.Address, made.Code)
		},
		"Find": func() (code.Code, error) { return w.Find(w.here, kind, w.alice, made.Code) },
		"another Ring": func() (code.Code, error) {
			return w.open(vault.GenerateKey(), w.keys[0]).Peek(w.here, kind, w.alice, code.Activation, "", made.Code)
		},
	} {
		got, err := find()
		if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(code.Code{})); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, d)
		}
	}
	w.wrong(w.Take(w.here, kind, w.alice, code.Activation, "b@example.com", made.Code))
	typed := " " + made.Code[:4] + "-" + made.Code[4:] + "\u00a0\n"
	if _, err := w.Take(w.here, kind, w.alice, code.Activation, "", typed); err != nil {
		t.Errorf("typed %q: %v", typed, err)
	}
	w.wrong(w.Take(w.here, kind, w.alice, code.Activation, "", made.Code))
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range code.Types() {
		kind := code.Type(name)
		length, ttl := 8, time.Hour
		if kind == code.Authentication || kind == code.Challenge {
			length, ttl = 6, 5*time.Minute
		}
		made := w.issue(w.alice, code.Spec{Type: kind, Address: "a@example.com"})
		if len(made.Code) != length || !made.Expires.Equal(w.clock.Now().Add(ttl)) || strings.Trim(made.Code, "0123456789") != "" {
			t.Errorf("%s: %+v", kind, made)
		}
		user, digits, ok := code.Split(made.Extended)
		if !ok || user != "alice" || digits != made.Code {
			t.Errorf("%s: extended %q", kind, made.Extended)
		}
	}
	if n := len(code.Types()); n != 7 {
		t.Errorf("%d types", n)
	}
	made := w.issue(w.alice, code.Spec{Type: code.Challenge, Length: 12, TTL: time.Minute})
	if len(made.Code) != 12 || !made.Expires.Equal(w.clock.Now().Add(time.Minute)) {
		t.Errorf("%+v", made)
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for field, spec := range map[string]code.Spec{
		"length":  {Type: code.Challenge, Length: 3},
		"ttl":     {Type: code.Challenge, TTL: -time.Second},
		"address": {Type: code.VerifyAddress},
	} {
		_, err := w.Issue(w.here, w.alice, spec)
		if !fault.Is(err, fault.Unprocessable) || fault.Read(err).Field != field {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	for _, spec := range []code.Spec{{Type: code.Challenge, Length: 17}, {Type: code.Challenge, TTL: 91 * 24 * time.Hour}} {
		if _, err := w.Issue(w.here, w.alice, spec); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	nobody := w.alice
	for _, nobody.User = range []string{"", "?alice"} {
		if _, err := w.Issue(w.here, nobody, code.Spec{Type: code.Challenge}); err == nil {
			t.Errorf("%q has a code", nobody.User)
		}
	}
	if _, err := code.Open(t.Context(), w.store, code.Config{}); err == nil {
		t.Error("opened without a ring")
	}
}

// Every digit is as likely at every place; leading zeros are kept.
func TestDigits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 4000
	var seen [6][10]int
	for range n {
		for place, digit := range []byte(w.issue(w.alice, code.Spec{Type: code.Challenge}).Code) {
			seen[place][digit-'0']++
		}
	}
	for place, counts := range seen {
		for digit, count := range counts {
			if count < n/10-150 || count > n/10+150 { // eight standard deviations
				t.Errorf("digit %d stands at place %d in %d of %d codes", digit, place, count, n)
			}
		}
	}
}

func TestNewCodeKillsTheOldOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.issue(w.alice, code.Spec{Type: code.ResetPassword})
	otherType := w.issue(w.alice, code.Spec{Type: code.ResetTOTP})
	next := w.issue(w.alice, code.Spec{Type: code.ResetPassword, Address: "a@example.com"})
	if old.Code != next.Code { // once in a hundred million
		w.wrong(w.Take(w.here, kind, w.alice, code.ResetPassword, "", old.Code))
	}
	for _, made := range []struct {
		kind code.Type
		code string
	}{{code.ResetPassword, next.Code}, {code.ResetTOTP, otherType.Code}} {
		if _, err := w.Take(w.here, kind, w.alice, made.kind, "", made.code); err != nil {
			t.Errorf("%s: %v", made.kind, err)
		}
	}
}

// Of addresses to be verified each has a code of its own.
func TestAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	codes := map[string]string{}
	for _, address := range []string{"a@example.com", "b@example.com", "+49301234", "c/d@example.com"} {
		w.issue(w.alice, code.Spec{Type: code.VerifyAddress, Address: address})
		codes[address] = w.issue(w.alice, code.Spec{Type: code.VerifyAddress, Address: address}).Code
	}
	w.wrong(w.Take(w.here, kind, w.alice, code.VerifyAddress, "b@example.com", codes["a@example.com"]))
	w.wrong(w.Take(w.here, kind, w.alice, code.VerifyAddress, "e@example.com", codes["a@example.com"]))
	got, err := w.Take(w.here, kind, w.alice, code.VerifyAddress, "a@example.com", codes["a@example.com"])
	if err != nil || got.Address != "a@example.com" {
		t.Errorf("%+v, %v", got, err)
	}
	// The extended form names no address.
	for _, address := range []string{"b@example.com", "c/d@example.com"} {
		got, err := w.Take(w.here, kind, w.alice, code.VerifyAddress, "", codes[address])
		if err != nil || got.Address != address {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got, err := w.Find(w.here, kind, w.alice, codes["+49301234"]); err != nil || got.Type != code.VerifyAddress {
		t.Errorf("%+v, %v", got, err)
	}
	w.wrong(w.Find(w.here, kind, w.alice, codes["a@example.com"]))
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.issue(w.alice, code.Spec{Type: code.Challenge})
	w.clock.Advance(5*time.Minute - time.Second)
	if _, err := w.Peek(w.here, kind, w.alice, code.Challenge, "", made.Code); err != nil {
		t.Errorf("before its end: %v", err)
	}
	w.clock.Advance(time.Second)
	w.wrong(w.Peek(w.here, kind, w.alice, code.Challenge, "", made.Code))
	w.wrong(w.Take(w.here, kind, w.alice, code.Challenge, "", made.Code))
	w.wrong(w.Find(w.here, kind, w.alice, made.Code))
	gone, err := w.store.Sweep(t.Context(), 10)
	if err != nil || gone["user_codes"] != 1 {
		t.Errorf("swept %v, %v", gone, err)
	}
	w.issue(w.alice, code.Spec{Type: code.Challenge})
}

// A code is good for its user, type, pool and tenant alone.
func TestNobodyElses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digits := w.issue(w.alice, code.Spec{Type: code.ResetPassword}).Code
	for name, change := range map[string]func(*code.Subject){
		"tenant":       func(s *code.Subject) { s.Tenant = "other" },
		"pool":         func(s *code.Subject) { s.Pool, s.PoolEpoch = "staff", "e2" },
		"life of pool": func(s *code.Subject) { s.PoolEpoch = "e2" },
		"user":         func(s *code.Subject) { s.User = "bob" },
		"life of user": func(s *code.Subject) { s.UserEpoch = "u2" },
		"nobody":       func(s *code.Subject) { s.User = "" },
		"nobody named": func(s *code.Subject) { s.User = "?alice" },
	} {
		s := w.alice
		change(&s)
		_, err := w.Take(w.here, kind, s, code.ResetPassword, "", digits)
		if !errors.Is(err, code.ErrWrong) {
			t.Errorf("another %s: %v", name, err)
		}
		if _, err := w.Find(w.here, kind, s, digits); !errors.Is(err, code.ErrWrong) {
			t.Errorf("found for another %s: %v", name, err)
		}
	}
	for _, kindOf := range code.Types() {
		if kindOf != string(code.ResetPassword) {
			_, err := w.Peek(from(t, kindOf), kind, w.alice, code.Type(kindOf), "", digits)
			if !errors.Is(err, code.ErrWrong) {
				t.Errorf("%s: %v", kindOf, err)
			}
		}
	}
	stranger := w.open(vault.GenerateKey())
	w.wrong(stranger.Peek(w.here, limit.KindCodeInspect, w.alice, code.ResetPassword, "", digits))
	if _, err := w.Take(w.here, kind, w.alice, code.ResetPassword, "", digits); err != nil {
		t.Errorf("its own: %v", err)
	}
}

func TestTyped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digits := w.issue(w.alice, code.Spec{Type: code.ResetPassword}).Code
	for i, typed := range []string{
		"", " ", "-", digits[1:], digits + "0", "0" + digits, digits + "x", "x" + digits, strings.Repeat(" ", 100) + digits,
		digits + "\x00", strings.Repeat("0", 1<<20), "\xff" + digits, digits[:4] + "." + digits[4:],
	} {
		_, err := w.Peek(from(t, fmt.Sprint(i)), kind, w.alice, code.ResetPassword, "", typed)
		if !errors.Is(err, code.ErrWrong) {
			t.Errorf("%.40q: %v", typed, err)
		}
	}
	for _, typed := range []string{digits[:2] + " " + digits[2:], digits[:4] + "–" + digits[4:], "\t" + digits + "\r\n"} {
		if _, err := w.Peek(w.here, kind, w.alice, code.ResetPassword, "", typed); err != nil {
			t.Errorf("%q: %v", typed, err)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	if user, digits, ok := code.Split("NjgzM2I5Yjk6NDY1NTkzMjQ"); !ok || user != "6833b9b9" || digits != "46559324" {
		t.Errorf("the published example: %q, %q, %v", user, digits, ok)
	}
	if user, digits, ok := code.Split(" " + code.Extend("a.B-9_", "0012") + "\n"); !ok || user != "a.B-9_" || digits != "0012" {
		t.Errorf("%q, %q, %v", user, digits, ok)
	}
	raw := base64.RawURLEncoding
	for _, bad := range []string{
		"", "12345678", "123456", code.Extend("", "123456"), code.Extend("alice", ""), code.Extend("alice", "123"),
		code.Extend("alice", "12345678901234567"), code.Extend("alice", "12a456"), code.Extend("alice", "123456:"),
		code.Extend("ali ce", "123456"), code.Extend("ali/ce", "123456"), code.Extend("älice", "123456"), code.Extend("?bob", "123456"),
		code.Extend(strings.Repeat("a", 129), "123456"), raw.EncodeToString([]byte("alice")), raw.EncodeToString([]byte("a:b:123456")),
		code.Extend("alice", "123456") + "=", code.Extend("alice", "123456")[:4] + "\n" + code.Extend("alice", "123456")[4:],
		strings.Repeat("A", 1<<20), "NjgzM2I5Yjk6NDY1NTkzMjR", // bits behind the last byte
	} {
		if user, digits, ok := code.Split(bad); ok {
			t.Errorf("%.60q is taken for %q, %q", bad, user, digits)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"", "12345678", "12060000", code.Extend("alice", "123456"), code.Extend("6833b9b9", "46559324"), code.Extend("a:b", "1234")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		user, digits, ok := code.Split(s)
		if !ok {
			if user != "" || digits != "" {
				t.Errorf("%q: not ok, yet %q, %q", s, user, digits)
			}
			return
		}
		if code.Extend(user, digits) != strings.TrimSpace(s) {
			t.Errorf("%q is not what is made of %q, %q", s, user, digits)
		}
		if strings.Trim(strings.TrimSpace(s), "0123456789") == "" {
			t.Errorf("the short code %q is taken for an extended one", s)
		}
	})
}
