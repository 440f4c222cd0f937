package web_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/google/go-cmp/cmp"
)

type base struct {
	ID string `json:"id"`
}

type identifier struct {
	Type     string `json:"type"`
	Priority *int32 `json:"priority"`
}

type input struct {
	base
	Identifiers []identifier             `json:"identifiers"`
	Active      bool                     `json:"active"`
	Count       uint                     `json:"count"`
	TTL         store.Duration           `json:"ttl"`
	At          time.Time                `json:"at"`
	Limits      map[string]*limitSetting `json:"limits"`
	Payload     json.RawMessage          `json:"payload"`
	Key         []byte                   `json:"key"`
	Kind        kind                     `json:"kind"`
	Ratio       float64                  `json:"ratio,omitempty"`
	Hidden      string                   `json:"-"`
	Window      window                   `json:"window"`
}

type limitSetting struct {
	PerHour int `json:"per_hour"`
}

// kind reads itself and has a sentence of its own.
type kind string

func (k *kind) UnmarshalText(b []byte) error {
	if string(b) != "password" {
		return fault.New(fault.Invalid, `must be "password"`, nil)
	}
	*k = kind(b)
	return nil
}

// window reads itself and knows which of its members is wrong.
type window struct{}

func (*window) UnmarshalJSON(b []byte) error {
	return fault.At(fault.Invalid, "from", "must be a day")
}

func TestDecodeNamesTheMember(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, field, say string }{
		{"string in a list", `{"identifiers":[{"type":"email"},{"type":5}]}`, "identifiers[1].type", "must be a string"},
		{"within one that reads itself", `{"window":{"from":7}}`, "window.from", "must be a day"},
		{"embedded", `{"id":[]}`, "id", "must be a string"},
		{"pointer", `{"identifiers":[{"priority":"x"}]}`, "identifiers[0].priority", "must be a whole number of at most 32 bits"},
		{"overflow", `{"identifiers":[{"priority":3000000000}]}`, "identifiers[0].priority", "must be a whole number of at most 32 bits"},
		{"bool", `{"active":"yes"}`, "active", "must be true or false"},
		{"negative", `{"count":-1}`, "count", "must be a whole number that is not negative"},
		{"fraction", `{"limits":{"a":{"per_hour":1.5}}}`, "limits.a.per_hour", "must be a whole number"},
		{"own text", `{"ttl":"fast"}`, "ttl", `"fast" is not a duration such as 1h0m0s`},
		{"own text, wrong type", `{"ttl":5}`, "ttl", "must be a string"},
		{"own fault", `{"kind":"totp"}`, "kind", `must be "password"`},
		{"time", `{"at":"yesterday"}`, "at", "must be a time such as 2006-01-02T15:04:05Z"},
		{"list", `{"identifiers":{}}`, "identifiers", "must be a list"},
		{"object", `{"identifiers":[3]}`, "identifiers[0]", "must be an object"},
		{"bytes", `{"key":"%%"}`, "key", "must be a base64 string"},
		{"number", `{"ratio":"1"}`, "ratio", "must be a number"},
		{"other case of the name", `{"ACTIVE":1}`, "ACTIVE", "must be true or false"},
		{"whole body", `[1]`, "", "The body must be an object"},
		{"whole body, string", `"x"`, "", "The body must be an object"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var in input
			err := web.DecodeJSON([]byte(tc.body), &in)
			var f *fault.Error
			if !errors.As(err, &f) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff([]string{tc.field, tc.say}, []string{f.Field, f.Public}); diff != "" || f.Kind != fault.Invalid {
				t.Errorf("kind %v (-want +got):\n%s", f.Kind, diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, say string }{
		{"empty", "", "The body is empty; it must be JSON."},
		{"form", "a=b", "The body is not JSON (line 1, column 1): "},
		{"open", "{\n \"id\": \"x\"", "The body is not JSON (line 2, column "},
		{"trailing garbage", `{"id":"x"} x`, "The body is not JSON (line 1, column 12): "},
		{"two documents", `{"id":"x"}{"id":"y"}`, "The body is not JSON (line 1, column 11): "},
		{"not UTF-8", "{\"id\":\"\xff\"}", "The body is not UTF-8."},
		{"deep", strings.Repeat("[", 101) + strings.Repeat("]", 101), "The body nests deeper than 100 levels."},
		{"deep and open", strings.Repeat(`{"a":`, 100_000), "The body nests deeper than 100 levels."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var in input
			err := web.DecodeJSON([]byte(tc.body), &in)
			if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.Read(err).Public, tc.say) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDecodeAccepts(t *testing.T) {
	t.Parallel()
	var in input
	err := web.DecodeJSON([]byte(`{"id":"x","login_id":"ignored","identifiers":[{"type":"email"}],"ttl":"1h0m0s","payload":{"n":1.00},"limits":{"[":{"per_hour":3}},"active":null}`), &in)
	if err != nil {
		t.Fatal(err)
	}
	want := input{
		base: base{ID: "x"}, Identifiers: []identifier{{Type: "email"}}, TTL: store.Duration(time.Hour),
		Payload: json.RawMessage(`{"n":1.00}`), Limits: map[string]*limitSetting{"[": {PerHour: 3}},
	}
	if diff := cmp.Diff(want, in, cmp.AllowUnexported(input{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var brackets any
	if err := web.DecodeJSON([]byte(`"`+strings.Repeat(`[\"{`, 200)+`"`), &brackets); err != nil {
		t.Errorf("brackets in a string count as depth: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "{}", `{"identifiers":[{"type":5}]}`, `{"ttl":"x"}`, `{"limits":{"a":{"per_hour":"b"}}}`, `[{]`, `{"id":"\ud800"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in input
		err := web.DecodeJSON(body, &in)
		if (err == nil) != json.Valid(body) && err == nil {
			t.Errorf("%q is not JSON and was taken", body)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", body, err)
		}
	})
}
