package idp_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/idp"
)

func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func id(kind, value string) idp.Identifier { return idp.Identifier{Type: kind, Value: value} }

func TestAttributes(t *testing.T) {
	t.Parallel()
	email := func(value string, verified bool) idp.Address {
		return idp.Address{Type: idp.Email, Value: value, Verified: verified}
	}
	phone := func(value string, verified bool) idp.Address {
		return idp.Address{Type: idp.Mobile, Value: value, Verified: verified}
	}
	for _, c := range []struct {
		name string
		user idp.User
		want string // without sub and groups
	}{
		{"nothing", idp.User{}, `{}`},
		{
			"uid",
			idp.User{Identifiers: []idp.Identifier{id("email", "a@x"), id("uid", "alice"), id("uid", "al")}, SignedInWith: "a@x"},
			`{"email":"a@x","email_verified":false,"preferred_username":"alice"}`,
		},
		{
			"e-mail signed in with",
			idp.User{Identifiers: []idp.Identifier{id("email", "a@x"), id("email", "B@x")}, SignedInWith: "b@x"},
			`{"email":"a@x","email_verified":false,"preferred_username":"B@x"}`,
		},
		{
			"first e-mail",
			idp.User{Identifiers: []idp.Identifier{id("mobile", "+1"), id("email", "a@x")}},
			`{"email":"a@x","email_verified":false,"phone_number":"+1","phone_number_verified":false,"preferred_username":"a@x"}`,
		},
		{
			"signed in with somebody else's",
			idp.User{Identifiers: []idp.Identifier{id("email", "a@x")}, SignedInWith: "boss@x"},
			`{"email":"a@x","email_verified":false,"preferred_username":"a@x"}`,
		},
		{
			"phone only",
			idp.User{Identifiers: []idp.Identifier{id("mobile", "+1")}, SignedInWith: "+1"},
			`{"phone_number":"+1","phone_number_verified":false,"preferred_username":"+1"}`,
		},
		{"internal identifiers are no names", idp.User{Identifiers: []idp.Identifier{id("external", "e1"), id("federated", "f1")}, SignedInWith: "e1"}, `{}`},
		{
			"verified address first",
			idp.User{Addresses: []idp.Address{email("a@x", false), email("b@x", true), email("c@x", true)}},
			`{"email":"b@x","email_verified":true}`,
		},
		{
			"unverified address",
			idp.User{Addresses: []idp.Address{email("a@x", false)}, Identifiers: []idp.Identifier{id("email", "i@x")}},
			`{"email":"a@x","email_verified":false,"preferred_username":"i@x"}`,
		},
		{
			"inactive address",
			idp.User{Addresses: []idp.Address{{Type: idp.Email, Value: "a@x", Verified: true, Inactive: true}, email("b@x", false)}},
			`{"email":"b@x","email_verified":false}`,
		},
		{
			"phone",
			idp.User{Addresses: []idp.Address{email("a@x", true), phone("+2", true)}},
			`{"email":"a@x","email_verified":true,"phone_number":"+2","phone_number_verified":true}`,
		},
		{
			"payload",
			idp.User{Payload: json.RawMessage(`{"given_name":"Ada","name":"Countess","address":{"locality":"London"},"n":12345678901234567890}`)},
			`{"address":{"locality":"London"},"given_name":"Ada","n":12345678901234567890,"name":"Countess"}`,
		},
		{"name of two parts", idp.User{Payload: json.RawMessage(`{"given_name":"Ada","family_name":"Lovelace"}`)}, `{"family_name":"Lovelace","given_name":"Ada","name":"Ada Lovelace"}`},
		{"name of one part", idp.User{Payload: json.RawMessage(`{"family_name":"Lovelace"}`)}, `{"family_name":"Lovelace","name":"Lovelace"}`},
		{"name of no text", idp.User{Payload: json.RawMessage(`{"given_name":7}`)}, `{"given_name":7}`},
		{"null payload", idp.User{Payload: json.RawMessage(`null`)}, `{}`},
		{"updated", idp.User{Updated: time.Unix(1700000000, 9)}, `{"updated_at":1700000000}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.user.ID = "u1"
			got, err := idp.Attributes(c.user)
			if err != nil {
				t.Fatal(err)
			}
			if got["sub"] != "u1" || encode(t, got["groups"]) != "[]" {
				t.Errorf("sub %v, groups %v", got["sub"], got["groups"])
			}
			delete(got, "sub")
			delete(got, "groups")
			if diff := cmp.Diff(c.want, encode(t, got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Attack: somebody writes into their own payload what would make them another,
// prove an address or put them into a group.
func TestPayloadForgesNothing(t *testing.T) {
	t.Parallel()
	u := idp.User{ID: "u1", Payload: json.RawMessage(`{"sub":"root","idp_sub":"root","auth_time":1,"tenant":"system","pool":"admins","amr":["mfa"],"acr":"9",
		"email":"boss@x","email_verified":true,"phone_number":"+9","phone_number_verified":true,"preferred_username":"root","groups":["admin"],"updated_at":"never"}`)}
	got, err := idp.Attributes(u)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"groups":[],"sub":"u1"}`, encode(t, got)); diff != "" {
		t.Error(diff)
	}
}

func TestAttributesOfABadPayload(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`[]`, `"x"`, `{`} {
		if _, err := idp.Attributes(idp.User{ID: "u1", Payload: json.RawMessage(raw)}); err == nil || !strings.Contains(err.Error(), "u1") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// connection is an IDP of acme's pool people with the predefined mappings.
func connection() idp.IDP {
	return idp.IDP{ID: "i1", TenantID: "acme", WorkspaceID: "main", IdentityPoolID: "people", PoolEpoch: "p1", Mappings: authctx.PredefinedMappings()}
}

func alice() idp.User {
	return idp.User{
		Tenant: "acme", Pool: "people", PoolEpoch: "p1", ID: "u1", Groups: []string{"staff"},
		Identifiers: []idp.Identifier{id("email", "alice@example.com")},
		Addresses:   []idp.Address{{Type: idp.Email, Value: "alice@example.com", Verified: true}},
		Payload:     json.RawMessage(`{"given_name":"Alice","family_name":"Doe","city":"Oslo","address":{"country":"NO"}}`),
	}
}

// hash is SHA-256 of 00 00 00 00 00 00 00 02 "i1" 00 00 00 00 00 00 00 02 "u1",
// computed apart from this program. A change of it would make strangers of
// everybody who ever signed in.
const hash = "3589357e1bf02a22010d60746b5d1b72ef97d16f4cd6ebeb683aeec33c92c3cd"

func TestContext(t *testing.T) {
	t.Parallel()
	signIn := idp.SignIn{AMR: []string{"pwd"}, Time: time.Unix(1700000000, 0)}
	base := `"address":{"country":"NO"},` + `%AMR%,"auth_time":1700000000,"email":"alice@example.com","email_verified":true,"family_name":"Doe","given_name":"Alice",` +
		`"groups":["staff"],"idp_sub":"u1","name":"Alice Doe","pool":"people","preferred_username":"alice@example.com","sub":"%SUB%","tenant":"acme"}`
	build := func(acr, amr, sub string) string {
		return `{"acr":"` + acr + `",` + strings.NewReplacer("%AMR%", `"amr":`+amr, "%SUB%", sub).Replace(base)
	}
	for _, c := range []struct {
		name   string
		change func(*idp.IDP, *idp.SignIn)
		want   string
	}{
		{"predefined", func(*idp.IDP, *idp.SignIn) {}, build("1", `["pwd"]`, hash)},
		{"named hash", func(_ *idp.IDP, s *idp.SignIn) { s.SubjectFormat = "hash" }, build("1", `["pwd"]`, hash)},
		{"legacy subject", func(_ *idp.IDP, s *idp.SignIn) { s.SubjectFormat = "legacy" }, build("1", `["pwd"]`, "u1")},
		{"acr", func(_ *idp.IDP, s *idp.SignIn) { s.ACR = "2" }, build("2", `["pwd"]`, hash)},
		{"static amr replaces", func(p *idp.IDP, _ *idp.SignIn) { p.StaticAMR = []string{"mfa", "hwk"} }, build("1", `["mfa","hwk"]`, hash)},
		{"static amr creates", func(p *idp.IDP, s *idp.SignIn) { p.StaticAMR, s.AMR = []string{"mfa"}, nil }, build("1", `["mfa"]`, hash)},
		{"empty static amr", func(p *idp.IDP, _ *idp.SignIn) { p.StaticAMR = []string{} }, build("1", `["pwd"]`, hash)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, s := connection(), signIn
			c.change(&p, &s)
			got, err := idp.Context(p, alice(), s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, encode(t, got.View())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got.Patches()) != 0 {
				t.Error("there is more than a base")
			}
		})
	}
}

func TestContextMappings(t *testing.T) {
	t.Parallel()
	p := connection()
	p.Mappings = []authctx.Mapping{
		{Source: "city", Target: "address.locality", Type: authctx.String},
		{Source: ".", Target: "raw", Type: authctx.Any},
		{Mode: authctx.Static, Static: json.RawMessage(`{"sub":"root","idp_sub":"root","pool":"admins","tenant":"system","amr":["mfa"],"acr":"9","auth_time":1}`), Target: ".", Type: authctx.Object},
	}
	got, err := idp.Context(p, alice(), idp.SignIn{})
	if err != nil {
		t.Fatal(err)
	}
	if got.String("address.locality") != "Oslo" || got.String("raw.given_name") != "Alice" || got.String("email") != "" {
		t.Errorf("mapped to %s", encode(t, got.View()))
	}
	if got.Subject() != hash || got.IDPSubject() != "u1" || got.Pool() != "people" || got.ACR() != "1" || got.AMR() != nil || !got.AuthTime().IsZero() || got.String("tenant") != "acme" {
		t.Errorf("a mapping forged the identity: %s", encode(t, got.View()))
	}
	p.Mappings = append(p.Mappings, authctx.Mapping{Source: "given_name", Target: "n", Type: authctx.Number})
	_, err = idp.Context(p, alice(), idp.SignIn{})
	var me *authctx.MappingError
	if !errors.As(err, &me) || me.Index != 3 || !strings.Contains(err.Error(), "IDP i1") || !strings.Contains(err.Error(), "given_name -> n (number)") {
		t.Errorf("error %v", err)
	}
}

// Attack: a user of another tenant, another pool, or a former pool of the same
// id must not come in by this IDP.
func TestContextOfAStranger(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*idp.User){
		"tenant":      func(u *idp.User) { u.Tenant = "beta" },
		"pool":        func(u *idp.User) { u.Pool = "partners" },
		"former pool": func(u *idp.User) { u.PoolEpoch = "p0" },
		"nobody":      func(u *idp.User) { u.ID = "" },
		"bad payload": func(u *idp.User) { u.Payload = json.RawMessage(`[]`) },
	} {
		u := alice()
		change(&u)
		if c, err := idp.Context(connection(), u, idp.SignIn{}); err == nil || !c.Equal(authctx.Context{}) {
			t.Errorf("%s: %v, %s", name, err, encode(t, c))
		}
	}
}

// No two pairs of IDP and subject may give one sub.
func TestSubjectKeepsPartsApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, pair := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"", "abc"}, {"a", "b\x00c"}, {"a\x00b", "c"}, {"i1", "u1"}, {"i2", "u1"}} {
		s := idp.Subject(idp.SubjectHash, pair[0], pair[1])
		if other, ok := seen[s]; ok || len(s) != 64 || strings.ToLower(s) != s {
			t.Errorf("%q gives %s, as does %s", pair, s, other)
		}
		seen[s] = strings.Join(pair[:], "|")
	}
}

func BenchmarkContext(b *testing.B) {
	p, u := connection(), alice()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := idp.Context(p, u, idp.SignIn{AMR: []string{"pwd"}, Time: start}); err != nil {
			b.Fatal(err)
		}
	}
}
