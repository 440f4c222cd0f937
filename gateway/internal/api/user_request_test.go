package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/web"
)

// answer is what a request got.
type answer struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   []byte
}

// do sends a request; body may be "", a JSON text or any value. Header pairs are
// names and values.
func (h *house) do(bearer, method, path string, payload any, header ...string) *answer {
	h.t.Helper()
	var raw []byte
	switch v := payload.(type) {
	case nil:
	case string:
		raw = []byte(v)
	default:
		var err error
		raw, err = json.Marshal(v)
		h.ok(err)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, bytes.NewReader(raw))
	h.ok(err)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	h.ok(err)
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	h.ok(err)
	a := &answer{t: h.t, what: method + " " + path, status: res.StatusCode, header: res.Header, body: got}
	h.compare(method, req.URL.Path, a)
	return a
}

// published is one line of the table of operations.
type published struct{ id, method, path, status, tag string }

// readTable reads the lines of the identity API.
func readTable(t testing.TB) []published {
	t.Helper()
	return readLines(t, func(path string) bool { return strings.HasPrefix(path, "/api/identity/") })
}

// readLines reads lines of the table of operations. Those of the sections 6 to
// 12 need parts that a house does not have: gateway/contract_test.go.
func readLines(t testing.TB, want func(path string) bool) []published {
	t.Helper()
	raw, err := os.ReadFile("../../testdata/contract/operations.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var table []published
	section := 0
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "# section "); ok {
			if section, err = strconv.Atoi(strings.TrimSpace(rest)); err != nil {
				t.Fatal(err)
			}
		}
		f := strings.Split(line, "\t")
		if len(f) < 6 || !want(f[2]) || section >= 6 && section <= 12 {
			continue
		}
		p := published{id: f[0], method: f[1], path: f[2], tag: "-"}
		p.status, _, _ = strings.Cut(f[4], " ")
		if strings.EqualFold(f[5], "ET") {
			p.tag = "etag"
		}
		table = append(table, p)
	}
	return table
}

// at tells whether a request goes to the operation. Parameters are in braces.
func (p published) at(method, path string) bool {
	want, got := strings.Split(p.path, "/"), strings.Split(path, "/")
	if p.method != method || len(want) != len(got) {
		return false
	}
	for i := range want {
		if !strings.HasPrefix(want[i], "{") && want[i] != got[i] {
			return false
		}
	}
	return true
}

// compare holds every success against the table: its status, and whether it
// carries a tag.
func (h *house) compare(method, path string, a *answer) {
	h.t.Helper()
	if a.status >= 300 {
		return
	}
	literal := func(p published) int { return -strings.Count(p.path, "{") }
	best := -100
	for _, p := range h.table {
		if p.at(method, path) {
			best = max(best, literal(p))
		}
	}
	for _, p := range h.table {
		if !p.at(method, path) || literal(p) < best {
			continue
		}
		tag := "-"
		if a.header.Get("ETag") != "" {
			tag = "etag"
		}
		if strconv.Itoa(a.status) != p.status || tag != p.tag || a.status == 204 && len(a.body) > 0 {
			h.t.Errorf("%s: status %d, tag %q; published are %s, %s: %s", a.what, a.status, a.header.Get("ETag"), p.status, p.tag, a.body)
		}
		h.mu.Lock()
		h.seen[p.method+" "+p.path] = true
		h.mu.Unlock()
	}
}

// Where acme's administrators and its backends call.
const (
	adminPath  = "/api/identity/acme/admin"
	systemPath = "/api/identity/acme/system"
)

// asAdmin and asSystem send a request of acme's administrator and backend.
func (h *house) asAdmin(method, path string, payload any, header ...string) *answer {
	h.t.Helper()
	return h.do(h.admin, method, adminPath+path, payload, header...)
}

func (h *house) asSystem(method, path string, payload any, header ...string) *answer {
	h.t.Helper()
	return h.do(h.system, method, systemPath+path, payload, header...)
}

// pool makes a pool of acme.
func (h *house) pool(id string, more ...string) {
	h.t.Helper()
	h.asAdmin("POST", "/pools", fmt.Sprintf(`{"id":%q,"name":%q%s}`, id, id, strings.Join(more, ""))).want(201)
}

// user makes an active user with an identifier and an address; hashing a
// password would be the slowest part of most tests.
func (h *house) user(poolID, id string) {
	h.t.Helper()
	h.asAdmin("POST", "/pools/"+poolID+"/users", fmt.Sprintf(`{"id":%q,"status":"active",
		"identifiers":[{"type":"email","identifier":%q}],
		"verifiable_addresses":[{"type":"email","address":%q,"status":"active","verified":true}],
		"payload":{"given_name":"A","family_name":"B","name":"A B"}}`, id, id+"@example.com", id+"@example.com")).want(201)
}

// want fails the test unless the answer has a status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.what, a.status, status, a.body)
	}
	return a
}

// refused is want for an error that is about a member of the input; empty is
// about none.
func (a *answer) refused(status int, field string) *answer {
	a.t.Helper()
	var e web.ErrorBody
	if err := json.Unmarshal(a.body, &e); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	got, _ := e.Details["field"].(string)
	if a.status != status || got != field || e.StatusCode != status || e.Error == "" || e.ErrorCode == "" {
		a.t.Errorf("%s: status %d at %q, want %d at %q: %s", a.what, a.status, got, status, field, a.body)
	}
	return a
}

// json reads the body.
func (a *answer) json() map[string]any {
	a.t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	return m
}

// at reads a member of the body by its path, such as users.0.id.
func (a *answer) at(path string) any {
	a.t.Helper()
	var v any = a.json()
	for step := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(in) {
				a.t.Fatalf("%s: no %s in %s", a.what, path, a.body)
			}
			v = in[i]
		default:
			a.t.Fatalf("%s: no %s in %s", a.what, path, a.body)
		}
	}
	return v
}

// has compares members of the body: pairs of paths and values.
func (a *answer) has(pairs ...any) *answer {
	a.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		path := pairs[i].(string)
		if d := cmp.Diff(pairs[i+1], a.at(path)); d != "" {
			a.t.Errorf("%s: %s: %s", a.what, path, d)
		}
	}
	return a
}

// ids lists the ids of the rows of a list.
func (a *answer) ids(plural string) []string {
	a.t.Helper()
	rows, ok := a.json()[plural].([]any)
	if !ok {
		a.t.Fatalf("%s: no list of %s: %s", a.what, plural, a.body)
	}
	list := []string{}
	for _, r := range rows {
		list = append(list, r.(map[string]any)["id"].(string))
	}
	return list
}

// tag returns the ETag.
func (a *answer) tag() string {
	a.t.Helper()
	tag := a.header.Get("ETag")
	if tag == "" {
		a.t.Fatalf("%s: no ETag", a.what)
	}
	return tag
}

// query encodes the parameters of an address: pairs of names and values.
func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "?" + q.Encode()
}
