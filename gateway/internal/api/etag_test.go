package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/web"
)

// ahead is a tag of a state that this server has not seen.
func (w *world) ahead() string { return web.Tag(w.log.Position()+1000, 7) }

// A tag on a read, a list or a POST asks whether this server has seen that
// state.
func TestReadsWaitForTheirTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tag := w.acme("POST", "/servers", `{"id":"shop"}`).want(201).tag()
	for _, path := range []string{"/servers", "/servers/shop", "/workspaces", "/servers/default/clients", "/tenant"} {
		a := w.acme("GET", path, nil, "If-Match", tag).want(200)
		w.acme("GET", path, nil, "If-Match", a.tag()).want(200)
		w.acme("GET", path, nil, "If-Match", w.ahead()).refused(412, "")
		w.acme("GET", path, nil, "If-Match", w.ahead()+", "+tag).want(200)
		w.acme("GET", path, nil, "If-Match", "*").want(200)
		w.acme("GET", path, nil, "If-Match", `"somebody else's"`).refused(412, "")
	}
	w.acme("POST", "/servers", `{"id":"never"}`, "If-Match", w.ahead()).refused(412, "")
	w.acme("GET", "/servers/never", nil).refused(404, "")
	w.acme("POST", "/servers", `{"id":"late"}`, "If-Match", tag).want(201)
}

// resources are records that can be written, with a change of each.
func (w *world) resources() map[string]struct{ path, change, read string } {
	w.t.Helper()
	v := w.furnish()
	return map[string]struct{ path, change, read string }{
		"tenant":    {path: "/tenant", change: `{"name":"N%d"}`},
		"server":    {path: "/servers/shop", change: `{"name":"N%d"}`},
		"workspace": {path: "/workspaces/shop/metadata", change: `{"payload":{"n":%d}}`, read: "/workspaces/shop"},
		"client":    {path: "/clients/acme-app", change: `{"client_name":"N%d"}`},
		"IDP":       {path: "/servers/shop/idps/identity_pool/acme-idp", change: `{"name":"N%d"}`},
		"route":     {path: "/servers/shop/routes/" + v["id"], change: `{"upstream":"http://192.0.2.%d"}`},
	}
}

// A tag on a write guards against overwriting what somebody else has written.
func TestWritesHoldToTheirTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, r := range w.resources() {
		read := r.path
		if r.read != "" {
			read = r.read
		}
		put := func(n int, tag string) *answer {
			return w.acme("PUT", r.path, fmt.Sprintf(r.change, n), "If-Match", tag)
		}
		first := w.acme("GET", read, nil).want(200).tag()
		second := put(1, first).want(200).tag()
		if second == first {
			t.Errorf("%s: a write left the tag as it was", name)
		}
		stale := put(2, first)
		stale.what = name
		stale.refused(412, "")
		if now := w.acme("GET", read, nil).want(200); strings.Contains(string(now.body), `"N2"`) {
			t.Errorf("%s: refused, and written all the same: %s", name, now.body)
		}
		third := put(3, first+`, `+"W/"+second).want(200).tag()
		put(4, "*").want(200)
		put(5, third).refused(412, "")
		put(6, w.ahead()).refused(412, "")
		put(7, `"nonsense"`).refused(412, "")
		// The tag of a list is about no single record: it says what was seen.
		list := w.acme("GET", "/servers", nil).want(200).tag()
		put(8, list).want(200)
		put(9, web.Tag(w.log.Position()+1000, 0)).refused(412, "")
	}
}

func TestDeletionsHoldToTheirTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.resources()
	for _, c := range []struct{ name, path string }{
		{"client", "/clients/acme-app"},
		{"IDP", "/servers/shop/idps/acme-idp"},
		{"route", all["route"].path},
		{"server", "/servers/shop"},
	} {
		r := all[c.name]
		old := w.acme("GET", r.path, nil).want(200).tag()
		now := w.acme("PUT", r.path, fmt.Sprintf(r.change, 1)).want(200).tag()
		stale := w.acme("DELETE", c.path, nil, "If-Match", old)
		stale.what = c.name
		stale.refused(412, "")
		w.acme("GET", r.path, nil).want(200)
		w.acme("DELETE", c.path, nil, "If-Match", now).want(204)
		w.acme("GET", r.path, nil).refused(404, "")
	}
	// A backend deletes by the same rule.
	tag := w.acme("POST", "/servers", `{"id":"other"}`).want(201).tag()
	w.acme("PUT", "/servers/other", `{"name":"x"}`).want(200)
	w.backend("DELETE", "/servers/other", nil, "If-Match", tag).refused(412, "")
	w.backend("DELETE", "/servers/other", nil).want(204)
}

// Writes that are about no single record ask only whether the state was seen.
func TestWritesWithoutARecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	body := `{"type":"client","client_id":"` + w.client("admin") + `","role":"member"}`
	w.acme("POST", "/tenant/roles/grant", body, "If-Match", w.ahead()).refused(412, "")
	tag := w.acme("POST", "/tenant/roles/grant", body).want(204).tag()
	w.acme("POST", "/servers/shop/hosts", `{"host":"h.acme.test"}`).want(201)
	for path, payload := range map[string]string{
		"/tenant/roles/revoke":            body,
		"/servers/shop/tokens":            `{"subjects":["s"]}`,
		"/pools/people/tokens":            `{"users":["u"]}`,
		"/servers/shop/hosts/h.acme.test": ``,
	} {
		w.acme("DELETE", path, payload, "If-Match", w.ahead()).refused(412, "")
		w.acme("DELETE", path, payload, "If-Match", tag).want(204)
	}
}
