package credential_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/google/go-cmp/cmp"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	e := credential.NewEstimator()
	counted := credential.Policy{CapitalLetters: 2, Digits: 2, LowercaseLetters: 2, SpecialCharacters: 2, MinLength: 8}
	for _, tc := range []struct {
		name     string
		policy   credential.Policy
		password string
		want     []string
	}{
		{"default, good", credential.DefaultPolicy(), "winter-owl-7-sings", nil},
		{"default, demo-like", credential.DefaultPolicy(), "alice-demo-password", nil},
		{"default, short", credential.DefaultPolicy(), "xK9$qR2w!", []string{"The password needs at least 10 characters."}},
		{"default, common", credential.DefaultPolicy(), "passwordpassword", []string{"The password is too easy to guess."}},
		{"default, repeated", credential.DefaultPolicy(), strings.Repeat("1", 40), []string{"The password is too easy to guess."}},
		{"default, about the person", credential.DefaultPolicy(), "alice@example.com", []string{"The password is too easy to guess."}},
		{"length in characters", credential.Policy{MinLength: 4}, "日本語", []string{"The password needs at least 4 characters."}},
		{"no rule", credential.Policy{}, "a", nil},
		{"empty", credential.Policy{}, "", []string{"The password is empty."}},
		{"too long", credential.Policy{}, strings.Repeat("ab", 65), []string{"The password is longer than 128 characters, or not text."}},
		{"not text", credential.Policy{}, "\xff\xfe", []string{"The password is longer than 128 characters, or not text."}},
		{"counts met", counted, "ŻÓłw12!?", nil},
		{"counts missed", counted, "zzzzzzz", []string{
			"The password needs at least 8 characters.",
			"The password needs at least 2 capital letters.",
			"The password needs at least 2 digits.",
			"The password needs at least 2 special characters.",
		}},
		{"no small letters", credential.Policy{LowercaseLetters: 1}, "ABC", []string{"The password needs at least 1 small letters."}},
		{"very strong", credential.Policy{Strength: credential.VeryStrong}, "fR7-tUq0-mZx3", nil},
		{"not very strong", credential.Policy{Strength: credential.VeryStrong}, "Monkey123!", []string{"The password is too easy to guess."}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, e.Problems(tc.policy, tc.password, "alice@example.com", "Alice Liddell")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPolicyProblem(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		policy credential.Policy
		want   string
	}{
		{credential.DefaultPolicy(), ""},
		{credential.Policy{}, ""},
		{credential.Policy{MinLength: 129}, "min_length"},
		{credential.Policy{Digits: 100, CapitalLetters: 29}, "min_length"},
		{credential.Policy{Digits: ^uint(0), CapitalLetters: 2}, "min_length"},
		{credential.Policy{NotUsedSince: 25}, "not_used_since"},
		{credential.Policy{Strength: "medium"}, "strength"},
	} {
		if got, _ := tc.policy.Problem(); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.policy, got, tc.want)
		}
	}
}

func TestClass(t *testing.T) {
	t.Parallel()
	e := credential.NewEstimator()
	for _, tc := range []struct {
		password string
		want     credential.Strength
	}{
		{"password", credential.Any},
		{"Passw0rd", credential.Any},
		{"letmein", credential.Any},
		{"qwertyuiop", credential.Any},
		{"poiuytrewq", credential.Weak},
		{"abcdefghijkl", credential.Any},
		{"987654321", credential.Any},
		{"aaaaaaaaaaaaaaaaaaaa", credential.Any},
		{"aA1!aA1!aA1!aA1!aA1!", credential.Weak},
		{"monkey1999", credential.Weak},
		{"Liddell1", credential.Any},
		{"kx7q", credential.Weak},
		{"p4ssw0rd-dr4g0n", credential.Weak},
		{"zebra", credential.Weak},
		{"vexillum", credential.Strong},
		{"correct horse battery staple", credential.VeryStrong},
		{"correcthorsebatterystaple correct", credential.VeryStrong},
		{"mX4$tR9!wQ2", credential.VeryStrong},
	} {
		if got := e.Class(tc.password, "alice@example.com", "Alice Liddell"); got != tc.want {
			t.Errorf("%q is %s (10^%.1f), want %s", tc.password, got, e.Guesses(tc.password, "alice@example.com", "Alice Liddell"), tc.want)
		}
	}
}

// TestClassIsCheap gives the estimator what makes others run for seconds.
func TestClassIsCheap(t *testing.T) {
	t.Parallel()
	e := credential.NewEstimator()
	for _, piece := range []string{"a", "1", "aA1!", "4@8({[<3€69!1|7$5+2%", "password", "0123456789"} {
		password := strings.Repeat(piece, 128)
		password = string([]rune(password)[:128])
		start := time.Now()
		e.Class(password, strings.Repeat("alice ", 100))
		if took := time.Since(start); took > time.Second {
			t.Errorf("%q takes %v", piece, took)
		}
	}
}

func BenchmarkClass(b *testing.B) {
	e := credential.NewEstimator()
	for b.Loop() {
		e.Class("correct horse battery staple", "alice@example.com")
	}
}
