package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatepost/gatepost/gateway"
	"github.com/gatepost/gatepost/gateway/internal/setup"
)

// world is a gateway that all scenarios share, each in a tenant of its own.
type world struct {
	gateway.Running
	t                *testing.T
	table            table
	root, rootSystem string // tokens of the root tenant
	tenants          atomic.Int64
}

// answer is what came back.
type answer struct {
	what   string
	status int
	header http.Header
	body   []byte
}

// send makes a request to the public listener.
func (w *world) send(t *testing.T, method, path, token, body string, header ...string) *answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.Base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = strings.TrimPrefix(w.Demo.BaseURL, "http://")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{method + " " + path, resp.StatusCode, resp.Header, raw}
}

// at returns a member of a JSON answer by its path, such as "users.0.id".
func (a *answer) at(t *testing.T, path string) string {
	t.Helper()
	if path == "ETag" {
		return a.header.Get("ETag")
	}
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(in) {
				t.Fatalf("%s: no %s in %s", a.what, path, a.body)
			}
			v = in[i]
		}
	}
	if s, ok := v.(string); ok {
		return s
	}
	raw, _ := json.Marshal(v) // came from JSON
	return string(raw)
}

// token is what client_credentials gives a client.
func (w *world) token(c setup.DemoClient) string {
	w.t.Helper()
	return w.grant(w.t, strings.TrimPrefix(c.TokenURL, w.Demo.BaseURL), c.ClientID, c.ClientSecret)
}

func (w *world) grant(t *testing.T, path, id, secret string) string {
	t.Helper()
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
	a := w.send(t, http.MethodPost, path, "", "grant_type=client_credentials",
		"Content-Type", "application/x-www-form-urlencoded", "Authorization", "Basic "+basic)
	if a.status != http.StatusOK {
		t.Fatalf("%s: %d %s", a.what, a.status, a.body)
	}
	return a.at(t, "access_token")
}

// tenant makes a tenant and returns tokens of its two API clients.
func (w *world) tenant(t *testing.T) (id, admin, system string) {
	t.Helper()
	id = fmt.Sprintf("t%d", w.tenants.Add(1))
	a := w.send(t, http.MethodPost, "/api/system/tenants?with_default_workspaces=true", w.rootSystem, fmt.Sprintf(`{"id":%q,"name":%q}`, id, id))
	var made struct {
		Clients []struct {
			ClientID     string `json:"client_id"`
			ClientSecret string `json:"client_secret"`
			ClientName   string `json:"client_name"`
			Workspace    string `json:"authorization_server_id"`
		} `json:"clients"`
	}
	if err := json.Unmarshal(a.body, &made); err != nil || a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.Allow(t, id)
	for _, c := range made.Clients {
		if c.ClientName != "API client" {
			continue
		}
		raw := w.grant(t, "/"+id+"/"+c.Workspace+"/oauth2/token", c.ClientID, c.ClientSecret)
		if c.Workspace == "admin" {
			admin = raw
		} else {
			system = raw
		}
	}
	return id, admin, system
}

// caller makes an API client that may do nothing and returns its token.
func (w *world) caller(t *testing.T, tenant, admin, workspace string) string {
	t.Helper()
	a := w.send(t, http.MethodPost, "/api/admin/"+tenant+"/clients", admin, fmt.Sprintf(
		`{"authorization_server_id":%q,"grant_types":["client_credentials"],"response_types":[],"scopes":[],"token_endpoint_auth_method":"client_secret_basic"}`, workspace))
	if a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return w.grant(t, "/"+tenant+"/"+workspace+"/oauth2/token", a.at(t, "client_id"), a.at(t, "client_secret"))
}

// tooMany sets the smallest rates for a tenant and for the root tenant, last of
// all, and asks for every operation until it is too much.
func (w *world) tooMany(t *testing.T) {
	tenant, _, _ := w.tenant(t)
	for _, owner := range []string{tenant, "system"} { // the root tenant's last: its own operations count there
		for _, module := range []string{"oauth2_token", "identity_public", "identity_api", "system_api", "admin_api"} {
			a := w.send(t, http.MethodPut, "/api/admin/tenants/"+owner+"/rate-limits/"+module, w.root, `{"rate":1,"burst":1,"period":"1h0m0s"}`)
			if a.status != http.StatusNoContent {
				t.Fatalf("%s: %d %s", a.what, a.status, a.body)
			}
		}
	}
	for _, l := range w.table {
		if !l.may(http.StatusTooManyRequests) || l.kind() == "token" {
			continue
		}
		path := strings.NewReplacer("{tid}", tenant, "{wid}", "default", "{aid}", "default").Replace(l.path)
		path = hole.ReplaceAllString(path, "x")
		a := &answer{}
		for range 5 {
			if a = w.send(t, l.method, path, "", ""); a.status == http.StatusTooManyRequests {
				break
			}
		}
		if l.saw(a.status); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %s: %d %s", l.id, a.what, a.status, a.body)
		}
	}
}
