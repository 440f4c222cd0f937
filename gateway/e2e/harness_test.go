package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the built program; TestMain makes it once, as `make build` and the
// Dockerfile do, where others may run it too.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gatepost-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "gatepost")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s", "-o", binary, "github.com/gatepost/gatepost/gateway/cmd/gatepost")
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	code := 1
	if err := errors.Join(build.Run(), os.Chmod(dir, 0o755)); err == nil {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// need skips a test that lacks a program, and fails it where CI promises one.
func need(t *testing.T, programs ...string) string {
	t.Helper()
	for _, p := range programs {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("none of %v is installed, and CI skips nothing", programs)
	}
	t.Skipf("none of %v is installed", programs)
	return ""
}

type demoClient struct {
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	TokenURL     string   `json:"token_url"`
	Scopes       []string `json:"scopes"`
	RedirectURIs []string `json:"redirect_uris"`
}

type demoUser struct {
	Identifier string `json:"identifier"`
	Password   string `json:"password"`
}

// demo is a running `gatepost demo` and what its demo.json says.
type demo struct {
	Listen    string                `json:"listen"`
	BaseURL   string                `json:"base_url"`
	AppURL    string                `json:"app_url"`
	Tenant    string                `json:"tenant"`
	Workspace string                `json:"workspace"`
	PoolID    string                `json:"pool_id"`
	IDPID     string                `json:"idp_id"`
	MailDir   string                `json:"mail_dir"`
	Users     []demoUser            `json:"users"`
	Clients   map[string]demoClient `json:"clients"`

	dir string
	cmd *exec.Cmd
	out *output
}

// output collects what a program prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// startDemo runs the demo on a free port until the test ends. More environment
// may be given as NAME=value.
func startDemo(t *testing.T, env ...string) *demo {
	t.Helper()
	return startDemoIn(t, filepath.Join(t.TempDir(), "data"), env...)
}

func startDemoIn(t *testing.T, dir string, env ...string) *demo {
	t.Helper()
	return startDemoAt(t, dir, "127.0.0.1:0", env...)
}

func startDemoAt(t *testing.T, dir, listen string, env ...string) *demo {
	t.Helper()
	d := &demo{dir: dir, out: &output{}}
	d.cmd = exec.Command(binary, "demo", "--data", dir, "--listen", listen)
	d.cmd.Env = append(os.Environ(), env...)
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
	_ = os.Remove(filepath.Join(dir, "demo.json"))
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.stop(t) })
	eventually(t, "the demo to answer", func() error {
		raw, err := os.ReadFile(filepath.Join(dir, "demo.json"))
		if err != nil {
			return fmt.Errorf("%w\n%s", err, d.out)
		}
		if err := json.Unmarshal(raw, d); err != nil {
			return err
		}
		conn, err := net.Dial("tcp", d.Listen)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return d
}

func (d *demo) stop(t *testing.T) {
	t.Helper()
	if d.cmd.ProcessState != nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- d.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the demo ended with %v:\n%s", err, d.out)
		}
	case <-time.After(15 * time.Second):
		_ = d.cmd.Process.Kill()
		t.Errorf("the demo did not stop, and was killed (%v):\n%s", <-done, d.out)
	}
	if t.Failed() {
		t.Logf("gatepost demo printed:\n%s", d.out)
	}
}

// eventually polls until check passes; it fails the test after 20 s.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("waited for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// browser is an HTTP client with cookies that dials the demo whatever the host
// name: Go does not resolve app.localhost.
func (d *demo) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: navigation{d.transport()}, Timeout: 20 * time.Second}
}

func (d *demo) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, d.Listen)
	}}
}

// navigation sends what a browser sends when it loads a page.
type navigation struct{ next http.RoundTripper }

func (n navigation) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if r.Header.Get("Sec-Fetch-Mode") == "" {
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Accept", "text/html")
		if r.Method == http.MethodPost {
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
		}
	}
	return n.next.RoundTrip(r)
}

var errNoForm = errors.New("the page has no form")

// form returns the action and the hidden fields of the first form on a page.
func form(page *url.URL, body string) (string, url.Values, error) {
	start := strings.Index(body, "<form")
	end := strings.Index(body, "</form>")
	if start < 0 || end < start {
		return "", nil, fmt.Errorf("%w:\n%s", errNoForm, body)
	}
	action := attribute(body[start:start+strings.Index(body[start:], ">")], "action")
	to, err := page.Parse(action)
	if err != nil {
		return "", nil, err
	}
	fields := url.Values{}
	for _, input := range strings.Split(body[start:end], "<input")[1:] {
		tag, _, _ := strings.Cut(input, ">")
		if attribute(tag, "type") == "hidden" {
			fields.Set(attribute(tag, "name"), attribute(tag, "value"))
		}
	}
	return to.String(), fields, nil
}

func attribute(tag, name string) string {
	_, rest, ok := strings.Cut(tag, " "+name+`="`)
	if !ok {
		return ""
	}
	v, _, _ := strings.Cut(rest, `"`)
	return strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#43;", "+").Replace(v)
}

// clientToken gets an access token by client_credentials.
func (d *demo) clientToken(t *testing.T, name string, scope ...string) string {
	t.Helper()
	c := d.Clients[name]
	q := url.Values{"grant_type": {"client_credentials"}}
	if len(scope) > 0 {
		q.Set("scope", strings.Join(scope, " "))
	}
	r, err := http.NewRequest(http.MethodPost, c.TokenURL, strings.NewReader(q.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret))
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	d.do(t, r, http.StatusOK, &answer)
	return answer.AccessToken
}

// do sends a request, wants a status, and decodes the JSON answer.
func (d *demo) do(t *testing.T, r *http.Request, status int, into any) {
	t.Helper()
	resp, err := (&http.Client{Transport: d.transport(), Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s %s: %d, want %d: %s", r.Method, r.URL, resp.StatusCode, status, b.String())
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(b.Bytes(), into); err != nil {
		t.Fatalf("%s: %v: %s", r.URL, err, b.String())
	}
}

// api calls the API with a bearer token.
func (d *demo) api(t *testing.T, token, method, path string, body any, status int, into any) {
	t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequest(method, d.BaseURL+path, &b)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	d.do(t, r, status, into)
}
