package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// Every operation that reads a body refuses one that is no JSON, and one that is
// too large, with the status for it and without an effect.
func TestBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values := w.furnish()
	before := w.snapshot(values)
	tokens := map[string]string{"root-admin": w.root, "root-system": w.rootSystem, "system": w.system, "admin": w.admin}
	large := `{"name":"` + strings.Repeat("x", bodyLimit) + `"}`
	bodyless := map[string]bool{ // operations that take none
		"rotateClientSecret": true, "revokeRotatedClientSecrets": true, "deleteClient": true, "deleteIDP": true, "deleteRoute": true,
		"releaseHost": true, "deleteAuthorizationServer": true, "deleteTenant": true,
		"deleteBruteForceLimit": true, "deleteRateLimit": true, "deleteClaim": true, "deleteScope": true, "deleteService": true,
		"rotateKey": true, "revokeKey": true,
	}
	for _, p := range readOperations(t) {
		if p.method == http.MethodGet || bodyless[p.id] {
			continue
		}
		for name, c := range map[string]struct {
			body   string
			status int
		}{
			"empty": {"", 400}, "broken": {`{"a":`, 400}, "no JSON": {`grant_type=x`, 400}, "a list": {`[]`, 400}, "a text": {`"x"`, 400},
			"two values": {`{} {}`, 400}, "not UTF-8": {"{\"name\":\"\xff\"}", 400}, "deep": {strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), 400},
			"large": {large, 413},
		} {
			a := w.do(tokens[p.family()], p.method, fill(p.path, values), c.body)
			a.what = p.id + ", " + name
			a.refused(c.status, "")
		}
	}
	if now := w.snapshot(values); len(now) != len(before) {
		t.Error("acme has changed")
	}
}

// JSON is read whatever the Content-Type says.
func TestContentTypeDoesNotMatter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, kind := range []string{"application/json", "application/x-www-form-urlencoded", "text/plain", "nonsense", ""} {
		w.acme("POST", "/servers", `{}`, "Content-Type", kind).want(201)
	}
	w.acme("POST", "/servers", `{}`, "Content-Encoding", "gzip").refused(400, "")
}

// What is not an operation is none, for everybody and in the same shape.
func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ method, path string }{
		{"GET", "/api"},
		{"GET", "/api/"},
		{"GET", "/api/admin"},
		{"GET", "/api/admin/acme"},
		{"GET", "/api/admin/acme/servers/"},
		{"GET", "/api/admin/acme/Servers"},
		{"POST", "/api/admin/acme/servers/default"},
		{"PATCH", "/api/admin/acme/servers/default"},
		{"HEAD", "/api/admin/acme/servers"},
		{"GET", "/api/hub/acme"},
		{"GET", "/api/admin/tenants/acme/unknown"},
	} {
		a := w.do(w.admin, c.method, c.path, nil)
		if a.status != 404 {
			t.Errorf("%s: status %d: %s", a.what, a.status, a.body)
		}
		if c.method != "HEAD" && a.at("status_code") != 404.0 {
			t.Errorf("%s: not in the shape of the API: %s", a.what, a.body)
		}
	}
}

// Ids in paths that no store could hold are ids of nothing.
func TestStrangeIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"%20", "a%2Fb", "%E2%82%AC", "%FF", "a%3Fb", strings.Repeat("x", 5000), "..%2F..", "default%00"} {
		for _, path := range []string{"/servers/" + id, "/clients/" + id, "/pools/" + id + "/roles", "/servers/default/routes/" + id, "/servers/default/idps/identity_pool/" + id} {
			if a := w.acme("GET", path, nil); a.status != 404 && a.status != 400 {
				t.Errorf("%s: status %d: %s", a.what, a.status, a.body)
			}
		}
		if a := w.do(w.admin, "GET", "/api/admin/"+id+"/tenant", nil); a.status != 401 && a.status != 400 {
			t.Errorf("%s: status %d: %s", a.what, a.status, a.body)
		}
	}
}

// A store that is away is 503 and leaves nothing half-done.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.acme("GET", "/servers", nil).want(200)
	w.faulty.Down(nil)
	for _, path := range []string{"/servers", "/servers/default", "/clients/x", "/tenant"} {
		a := w.acme("GET", path, nil)
		a.refused(503, "")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", a.what)
		}
	}
	w.acme("POST", "/servers", `{"id":"shop"}`).refused(503, "")
	w.faulty.Up()
	w.acme("GET", "/servers/shop", nil).refused(404, "")

	w.faulty.Fail(storetest.OpInsert, "scopes", 1, nil) // in the middle of making a workspace
	w.acme("POST", "/servers", `{"id":"shop"}`).refused(503, "")
	w.acme("GET", "/servers/shop", nil).refused(404, "")
	w.acme("POST", "/servers", `{"id":"shop"}`).want(201)
}

// Answers are nobody's to keep, and carry what finds them in the log.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, a := range []*answer{w.acme("GET", "/tenant", nil), w.acme("GET", "/servers/none", nil), w.do("", "GET", "/api/admin/acme/tenant", nil)} {
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Trace-ID") == "" {
			t.Errorf("%s: %v", a.what, a.header)
		}
		if a.status >= 400 && a.at("details.trace_id") != a.header.Get("X-Trace-ID") {
			t.Errorf("%s: another trace id in the body: %s", a.what, a.body)
		}
	}
}
