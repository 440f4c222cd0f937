package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// start runs the program on a free port and returns its address. When the test
// ends the program must end without an error.
func start(t *testing.T) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-listen", "127.0.0.1:0"}, in)
		_ = in.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no address: %v", err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "demo-app: "))
}

func get(t *testing.T, url string, headers map[string]string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPage(t *testing.T) {
	t.Parallel()
	at := start(t)
	for _, tc := range []struct {
		name        string
		headers     map[string]string
		want, never []string
	}{
		{
			name: "signed in",
			headers: map[string]string{
				"X-Auth-Request-User": "u1", "X-Auth-Request-Preferred-Username": "alice@example.com",
				"X-Auth-Request-Email": "alice@example.org", "X-Auth-Request-Groups": "staff,admins", "X-Gatepost-Assertion": "e30.e30.x",
			},
			want:  []string{`<span id="name">alice@example.com</span>`, "alice@example.org", "staff,admins", `href="/.gatepost/sign-out"`, ">received<", ">A</div>"},
			never: []string{`id="nobody"`, "e30.e30.x"},
		},
		{
			name: "only a subject", headers: map[string]string{"X-Auth-Request-User": "u1"},
			want: []string{`<span id="name">u1</span>`, "none on this route"}, never: []string{"E-mail"},
		},
		{
			name: "groups are no name", headers: map[string]string{"X-Auth-Request-Groups": "staff"},
			want: []string{`id="nobody"`}, never: []string{"Sign out"},
		},
		{
			name: "nobody", want: []string{`id="nobody"`}, never: []string{"Sign out", `id="name"`},
		},
		{
			name: "markup in a name", headers: map[string]string{"X-Auth-Request-User": `<script>alert(1)</script>`},
			want: []string{"&lt;script&gt;"}, never: []string{"<script"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := get(t, at+"/", tc.headers)
			page := body(t, res)
			if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
				t.Errorf("got %s %s", res.Status, res.Header.Get("Content-Type"))
			}
			if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") {
				t.Errorf("Content-Security-Policy is %q", csp)
			}
			for _, s := range tc.want {
				if !strings.Contains(page, s) {
					t.Errorf("the page lacks %q:\n%s", s, page)
				}
			}
			for _, s := range append(tc.never, "<style", "style=", "onclick") {
				if strings.Contains(page, s) {
					t.Errorf("the page has %q:\n%s", s, page)
				}
			}
		})
	}
}

// A browser opens a connection ahead of need. It must not make the end of the
// program an error; start looks at that.
func TestEndsDespiteAnUnusedConnection(t *testing.T) {
	t.Parallel()
	var unused net.Conn
	t.Cleanup(func() {
		if unused != nil {
			_ = unused.Close() // after the end of the program
		}
	})
	at := start(t)
	var err error
	unused, err = new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_ = body(t, get(t, at+"/style.css", nil)) // accepted after the other connection
}

func TestStyle(t *testing.T) {
	t.Parallel()
	res := get(t, start(t)+"/style.css", nil)
	if css := body(t, res); !strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") || !strings.Contains(css, "max-width") {
		t.Errorf("got %s %s: %.40s", res.Status, res.Header.Get("Content-Type"), css)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	at := start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/headers", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "app.localhost:8080"
	req.Header = http.Header{"X-Many": {"a", "b"}, "User-Agent": {"test"}, "Accept-Encoding": {"identity"}}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var got map[string][]string
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"Host": {"app.localhost:8080"}, "X-Many": {"a", "b"}, "User-Agent": {"test"}, "Accept-Encoding": {"identity"}, "Content-Length": {"0"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	at := start(t)
	t.Run("counted", func(t *testing.T) {
		t.Parallel()
		res := get(t, at+"/events?n=3&every=1ms", map[string]string{"X-Auth-Request-User": "u1"})
		want := "id: 1\ndata: event 1 for \"u1\"\n\nid: 2\ndata: event 2 for \"u1\"\n\nid: 3\ndata: event 3 for \"u1\"\n\n"
		if diff := cmp.Diff(want, body(t, res)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
	t.Run("the first comes at once, the rest until the end of the program", func(t *testing.T) {
		t.Parallel()
		res := get(t, at+"/events?every=1h", nil)
		line, err := bufio.NewReader(res.Body).ReadString('\n')
		if err != nil || line != "id: 1\n" {
			t.Errorf("got %q, %v", line, err)
		}
	})
}

func TestEcho(t *testing.T) {
	t.Parallel()
	at := start(t)
	for _, tc := range []struct {
		name, origin, forwarded string
		refused                 bool
	}{
		{name: "no origin"},
		{name: "behind a gateway", origin: "http://app.localhost:8080", forwarded: "app.localhost:8080"},
		{name: "a page of another site", origin: "https://evil.example", forwarded: "app.localhost:8080", refused: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"X-Auth-Request-User": {"u1"}}
			for name, value := range map[string]string{"Origin": tc.origin, "X-Forwarded-Host": tc.forwarded} {
				if value != "" {
					h.Set(name, value)
				}
			}
			c, res, err := websocket.Dial(t.Context(), at+"/echo?headers", &websocket.DialOptions{HTTPHeader: h})
			if tc.refused {
				if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
					t.Fatalf("dial: %v, %v", res, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.CloseNow() }()
			_, first, err := c.Read(t.Context())
			if err != nil || !strings.Contains(string(first), `"X-Auth-Request-User":["u1"]`) {
				t.Fatalf("first message %s, %v", first, err)
			}
			if err := c.Write(t.Context(), websocket.MessageBinary, []byte{1, 2}); err != nil {
				t.Fatal(err)
			}
			kind, answer, err := c.Read(t.Context())
			if err != nil || kind != websocket.MessageBinary || string(answer) != "\x01\x02" {
				t.Errorf("answer %v %v, %v", kind, answer, err)
			}
		})
	}
}

func TestBadStart(t *testing.T) {
	t.Parallel()
	at := strings.TrimPrefix(start(t), "http://")
	if err := run(t.Context(), []string{"-listen", at}, io.Discard); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a taken port gives %v", err)
	}
	if err := run(t.Context(), []string{"-nonsense"}, io.Discard); err == nil {
		t.Error("an unknown flag is taken")
	}
}
