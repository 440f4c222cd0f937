package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// A token that is bound to a key serves its holder at what people do to
// themselves, and nobody else (RFC 9449, section 7).
func TestBoundTokenOfAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(w.parts.Flags.Set(t.Context(), "acme", flag.DPoP, true, "test"))
	w.pool("people")
	w.user("people", "ann")
	by := w.connect(tenant.Admin, "people")
	p := signintest.NewProver(t)
	_, raw := w.bound(by, "ann", signin.Holder{Key: p.Thumbprint()})
	_, plain := w.person(by, "ann")
	const path = "/acme/admin/identity/self/me"
	at := w.parts.Base + path
	proof := func(url, token string) string { return p.Proof(http.MethodGet, url, token, w.clock.Now(), nil) }
	used := proof(at, raw)
	ask := func(authorization, proof string) *answer {
		head := []string{"Authorization", authorization}
		if proof != "" {
			head = append(head, "DPoP", proof)
		}
		return w.do("", http.MethodGet, path, nil, head...)
	}
	ask("DPoP "+raw, used).want(http.StatusOK)
	ask("dpop "+raw, proof(at, raw)).want(http.StatusOK)
	for name, c := range map[string]struct{ authorization, proof, code string }{
		"as Bearer":             {"Bearer " + raw, "", "invalid_token"},
		"as Bearer, proven":     {"Bearer " + raw, proof(at, raw), "invalid_token"},
		"without a proof":       {"DPoP " + raw, "", "invalid_dpop_proof"},
		"a used proof":          {"DPoP " + raw, used, "invalid_dpop_proof"},
		"a proof for elsewhere": {"DPoP " + raw, proof(w.parts.Base+"/acme/admin/sso/sessions", raw), "invalid_dpop_proof"},
		"another token's proof": {"DPoP " + raw, proof(at, plain), "invalid_dpop_proof"},
		"somebody else's key":   {"DPoP " + raw, signintest.NewProver(t).Proof(http.MethodGet, at, raw, w.clock.Now(), nil), "invalid_token"},
		"a token of no key":     {"DPoP " + plain, proof(at, plain), "invalid_token"},
		"no token":              {"DPoP ", proof(at, ""), "invalid_token"},
		"nothing":               {"", "", "invalid_token"},
	} {
		a := ask(c.authorization, c.proof)
		challenge := a.header.Get("WWW-Authenticate")
		if a.status != http.StatusUnauthorized || a.at("error_code") != c.code ||
			!strings.Contains(challenge, "Bearer realm=") || !strings.Contains(challenge, "DPoP ") || !strings.Contains(challenge, `algs="ES256`) ||
			strings.Contains(challenge, `error="`+c.code+`"`) == (c.authorization == "") {
			t.Errorf("%s: %d %v %s", name, a.status, a.at("error_code"), challenge)
		}
	}
	w.ok(w.parts.Flags.Set(t.Context(), "acme", flag.DPoP, false, "test"))
	if a := ask("DPoP "+raw, proof(at, raw)); a.status != http.StatusUnauthorized || strings.Contains(a.header.Get("WWW-Authenticate"), "DPoP") {
		t.Errorf("where the flag is off: %d %s", a.status, a.header.Get("WWW-Authenticate"))
	}
}
