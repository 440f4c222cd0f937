package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const nobody = 65534

// TestStartFails: whatever keeps the gateway from starting, it says so in one
// line that names the cause, and ends with 1.
func TestStartFails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		// run prepares the directory and returns the environment.
		run  func(t *testing.T, dir string) []string
		want []string // words of the line
	}{
		{"port taken", func(t *testing.T, _ string) []string {
			return []string{"GATEPOST_LISTEN__PUBLIC__ADDRESS=" + taken(t)}
		}, []string{"listen.public", "127.0.0.1:", "another program uses this port"}},
		{"ops port taken", func(t *testing.T, _ string) []string {
			return []string{"GATEPOST_LISTEN__OPS__ADDRESS=" + taken(t)}
		}, []string{"listen.ops", "another program uses this port"}},
		{"no such file", func(t *testing.T, dir string) []string {
			if err := os.Remove(filepath.Join(dir, "gatepost.yaml")); err != nil {
				t.Fatal(err)
			}
			return nil
		}, []string{"gatepost.yaml", "cannot be read", "no such file"}},
		{"one setting broken", func(t *testing.T, dir string) []string {
			configure(t, dir, freeListeners+"session: {idle: soon}\n")
			return nil
		}, []string{"gatepost.yaml:7: session.idle", `"soon"`, "1h0m0s"}},
		{"unknown variable", func(*testing.T, string) []string {
			return []string{"GATEPOST_LISSTEN__PUBLIC=x"}
		}, []string{"GATEPOST_LISSTEN__PUBLIC", "unknown setting", "GATEPOST_LISTEN"}},
		{"a variable that is wrong", func(*testing.T, string) []string {
			return []string{"GATEPOST_STORE__DRIVER=sqlite"}
		}, []string{"GATEPOST_STORE__DRIVER", "store.driver", "embedded, mongo"}},
		{"no TLS files", func(*testing.T, string) []string {
			return []string{"GATEPOST_BASE_URL=https://localhost", "GATEPOST_LISTEN__PUBLIC__TLS__CERTIFICATE=/none/cert", "GATEPOST_LISTEN__PUBLIC__TLS__KEY=/none/key"}
		}, []string{"listen.public.tls", "/none/cert", "no such file"}},
		{"store used by another gateway", func(t *testing.T, dir string) []string {
			startServeIn(t, dir, freeListeners)
			return nil
		}, []string{"gatepost.db", "in use by another process"}},
		{"another key ring", func(t *testing.T, dir string) []string {
			once(t, dir)
			ring := filepath.Join(dir, "other-keys")
			if _, err := gatepost(t, dir, []string{"GATEPOST_KEYS__FILE=" + ring}, "keys", "init", "--config", "gatepost.yaml"); err != nil {
				t.Fatal(err)
			}
			return []string{"GATEPOST_KEYS__FILE=" + ring}
		}, []string{"keys.file", "other-keys", "gatepost.db"}},
		{"key ring lost", func(t *testing.T, dir string) []string {
			once(t, dir)
			return []string{"GATEPOST_KEYS__FILE=" + filepath.Join(dir, "none")}
		}, []string{"keys.file", "none is missing", "gatepost.db"}},
		{"key ring that others read", func(t *testing.T, dir string) []string {
			once(t, dir)
			if err := os.Chmod(filepath.Join(dir, "data", "keys"), 0o644); err != nil {
				t.Fatal(err)
			}
			return nil
		}, []string{"keys.file", "0644", "chmod 600"}},
		{"no MongoDB there", func(t *testing.T, dir string) []string {
			if _, err := gatepost(t, dir, nil, "keys", "init", "--config", "gatepost.yaml"); err != nil {
				t.Fatal(err)
			}
			ln := listener(t)
			_ = ln.Close()
			return []string{"GATEPOST_STORE__DRIVER=mongo", "GATEPOST_STORE__URI=mongodb://me:hush@" + ln.Addr().String() + "/"}
		}, []string{"store.uri", "mongo 127.0.0.1:", "connection refused"}},
		{"MongoDB without keys", func(*testing.T, string) []string {
			return []string{"GATEPOST_STORE__DRIVER=mongo", "GATEPOST_STORE__URI=mongodb://127.0.0.1:1/"}
		}, []string{"keys.file", "data/keys does not exist", "gatepost keys init"}},
		{"the data of a demo", func(t *testing.T, dir string) []string {
			d := startDemoIn(t, filepath.Join(dir, "data"))
			d.stop(t)
			return nil
		}, []string{"gatepost.db", "holds a demo", "data_dir"}},
		{"data directory too deep", func(_ *testing.T, dir string) []string {
			return []string{"GATEPOST_DATA_DIR=" + filepath.Join(dir, strings.Repeat("deep/", 20))}
		}, []string{"data_dir", "too long", "103 bytes"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := openDir(t)
			configure(t, dir, freeListeners)
			env := tc.run(t, dir)
			out, err := gatepost(t, dir, env, "serve", "--config", "gatepost.yaml")
			oneLine(t, out, err, tc.want...)
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("the line shows a password: %v", err)
			}
		})
	}
}

// listener is one of a program that is not ours.
func listener(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func taken(t *testing.T) string {
	t.Helper()
	return listener(t).Addr().String()
}

// once runs a gateway in dir, so that it leaves its data.
func once(t *testing.T, dir string) {
	t.Helper()
	startServeIn(t, dir, freeListeners).stop(t)
}

func TestDataDirectoryThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"serve", []string{"serve", "--config", "gatepost.yaml"}, "data_dir: "},
		{"check", []string{"config", "check", "--config", "gatepost.yaml"}, "data_dir: "},
		{"demo", []string{"demo", "--listen", "127.0.0.1:0", "--data", "data"}, "--data: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := openDir(t)
			configure(t, dir, freeListeners)
			if err := os.Chmod(dir, 0o555); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), binary, tc.args...)
			cmd.Dir = dir
			as(cmd, nobody)
			out, err := outcome(t, cmd)
			oneLine(t, out, err, tc.want, "permission denied")
		})
	}
}

// TestBrokenConfiguration: every problem is listed, each on its line, and the
// same by serve and by config check.
func TestBrokenConfiguration(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	configure(t, dir, "base_url: ftp://x\nlissten: 1\nsession: {idle: soon}\nroutes:\n- {host: app.example}\n")
	env := []string{"GATEPOST_MAX_STALE=1y"}
	out, err := gatepost(t, dir, env, "serve", "--config", "gatepost.yaml")
	if err == nil || out != "" {
		t.Fatalf("it started: %s", out)
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	for _, want := range []string{
		"gatepost: gatepost.yaml:1: base_url: ", "gatepost: gatepost.yaml:2: lissten: ", "gatepost: gatepost.yaml:3: session.idle: ",
		"gatepost: gatepost.yaml:5: routes[0].", "gatepost: GATEPOST_MAX_STALE: max_stale: ",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+want) {
			t.Errorf("no line begins with %q:\n%v", want, err)
		}
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "gatepost: ") {
			t.Errorf("a stray line: %s", line)
		}
	}
	if _, check := gatepost(t, dir, env, "config", "check", "--config", "gatepost.yaml"); check == nil || check.Error() != err.Error() {
		t.Errorf("config check says %v, serve %v", check, err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) != 1 {
		t.Errorf("something was made in spite of the problems: %v", found)
	}
	configure(t, dir, freeListeners)
	if out, err := gatepost(t, dir, nil, "config", "check", "--config", "gatepost.yaml"); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("a good configuration: %q, %v", out, err)
	}
}

// TestDemoStaysOnThisMachine: known passwords are not for others.
func TestDemoStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:8080", "localhost", "[::]:0"} {
		out, err := gatepost(t, t.TempDir(), nil, "demo", "--data", t.TempDir(), "--listen", listen)
		oneLine(t, out, err, "--listen")
	}
}

// TestSIGTERM: the gateway ends in good order although clients hold on to their
// connections, and lets a request end that has begun.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			g := startServe(t, freeListeners)
			idle, half := g.dial(t), g.begin(t)
			send(t, idle, "GET /setup HTTP/1.1\r\nHost: localhost:8080\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(idle), nil)
			if err != nil {
				t.Fatal(err)
			}
			text(t, resp)
			if err := g.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			send(t, half, strings.Repeat("x", 100))
			if resp, err := http.ReadResponse(bufio.NewReader(half), nil); err != nil {
				t.Errorf("the running request was cut off: %v", err)
			} else {
				text(t, resp)
			}
			began := time.Now()
			if err := g.cmd.Wait(); err != nil {
				t.Errorf("it ended with %v:\n%s", err, g.out)
			}
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("it took %s to end", took)
			}
			if _, err := os.Stat(filepath.Join(g.dir, "data", "operator.sock")); err == nil {
				t.Error("the operator socket is left behind")
			}
		})
	}
}

// TestSIGTERMAtAnyMoment: a signal in the middle of the start, or right after
// it, ends the gateway as well.
func TestSIGTERMAtAnyMoment(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		moment string
		come   func(dir string, out *output) bool
	}{
		{"the key ring is there", func(dir string, _ *output) bool { return exists(dir, "keys") }},
		{"the store is there", func(dir string, _ *output) bool { return exists(dir, "gatepost.db") }},
		{"the operator socket is there", func(dir string, _ *output) bool { return exists(dir, "operator.sock") }},
		{"it says that it serves", func(_ string, out *output) bool { return serves.MatchString(out.String()) }},
		{"it logs the link", func(_ string, out *output) bool { return loggedLink.MatchString(out.String()) }},
	} {
		t.Run(tc.moment, func(t *testing.T) {
			t.Parallel()
			for range 3 {
				dir, out := openDir(t), &output{}
				cmd := exec.Command(binary, "serve", "--config", configure(t, dir, freeListeners))
				cmd.Stdout, cmd.Stderr = out, out
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				tick := time.NewTicker(time.Millisecond)
				for !tc.come(filepath.Join(dir, "data"), out) {
					<-tick.C
				}
				tick.Stop()
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				kill := time.AfterFunc(15*time.Second, func() { _ = cmd.Process.Kill() })
				if err := cmd.Wait(); err != nil {
					t.Errorf("it ended with %v:\n%s", err, out)
				}
				kill.Stop()
			}
		})
	}
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// TestSIGTERMWithStuckClient: a client that never sends the rest of its request
// is cut off after a while; the end is still an orderly one.
func TestSIGTERMWithStuckClient(t *testing.T) {
	t.Parallel()
	g := startServe(t, freeListeners)
	g.begin(t)
	g.stop(t) // wants it to end with 0
	if !strings.Contains(g.out.String(), "not every request came to its end") {
		t.Errorf("nobody was stuck:\n%s", g.out)
	}
}

// begin sends a request but for its body, and waits until the gateway reads that.
func (g *gate) begin(t *testing.T) net.Conn {
	t.Helper()
	conn := g.dial(t)
	send(t, conn, "POST /setup HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	answer := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(conn, answer); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 100 ") {
		t.Fatalf("%v: %s", err, answer)
	}
	return conn
}

func (g *gate) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", g.Listen, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestHealthCommand(t *testing.T) {
	t.Parallel()
	g := startServe(t, freeListeners)
	if out, err := g.tool(t, "health", "--config", "gatepost.yaml"); err != nil || out != "ready\n" {
		t.Errorf("a running gateway: %q, %v", out, err)
	}
	for path, want := range map[string]string{"/healthz": `"version":`, "/readyz": `"ready"`, "/metrics": "gatepost_"} {
		resp, body := get(t, &http.Client{Timeout: 10 * time.Second}, "http://"+g.ops+path)
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
		if resp, _ = get(t, g.browser(t), g.BaseURL+path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s on the public listener: %d", path, resp.StatusCode)
		}
	}
	g.stop(t)
	out, err := g.tool(t, "health", "--config", "gatepost.yaml")
	oneLine(t, out, err, "no gateway answers", g.ops, "connection refused")
	g.ops = "off"
	out, err = g.tool(t, "health", "--config", "gatepost.yaml")
	oneLine(t, out, err, "listen.ops.address", "off")
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":"not_ready","checks":{"change_log":{"status":"ok"},"store":{"status":"failed","error":"the disk is gone"}}}`))
	}))
	defer ill.Close()
	g.ops = ill.Listener.Addr().String()
	out, err = g.tool(t, "health", "--config", "gatepost.yaml")
	oneLine(t, out, err, "not ready", "store: the disk is gone")
}

// TestUnknownHost: the page shows what was asked for, what is served and what to
// change.
func TestUnknownHost(t *testing.T) {
	t.Parallel()
	plain := startServe(t, freeListeners)
	behind := startServe(t, freeListeners, "GATEPOST_BASE_URL=https://id.example.com", "GATEPOST_TRUSTED_PROXIES=10.0.0.0/8")
	for _, tc := range []struct {
		name    string
		at      *gate
		address string
		proto   string // X-Forwarded-Proto
		want    []string
	}{
		{"host", plain, "http://wrong.example:81/x", "", []string{"http://wrong.example:81", "http://localhost:8080", "base_url", "routes[].host", "trusted_proxies"}},
		{"port", plain, "http://localhost:8081/", "", []string{"http://localhost:8081", "http://localhost:8080"}},
		{"scheme", behind, "http://id.example.com/", "", []string{"http://id.example.com", "https://id.example.com", "The host is right", "X-Forwarded-Proto", "trusted_proxies"}},
		{"proxy not trusted", behind, "http://id.example.com/", "https", []string{"https://id.example.com", "127.0.0.1", "not in trusted_proxies"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, accept := range []string{"text/html", "application/json"} {
				resp, body := tc.at.ask(t, tc.address, map[string]string{"Accept": accept, "X-Forwarded-Proto": tc.proto})
				if resp.StatusCode != http.StatusMisdirectedRequest || !strings.HasPrefix(resp.Header.Get("Content-Type"), accept) {
					t.Errorf("%s: %d %s", accept, resp.StatusCode, resp.Header.Get("Content-Type"))
				}
				for _, want := range tc.want {
					if accept == "text/html" && !strings.Contains(body, want) {
						t.Errorf("the page does not say %q:\n%s", want, body)
					}
				}
				if !strings.Contains(body, tc.want[0]) {
					t.Errorf("the answer to programs is %s", body)
				}
			}
		})
	}
}

// ask sends a GET request with headers; empty ones are left out.
func (g *gate) ask(t *testing.T, address string, headers map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range headers {
		if v != "" {
			r.Header.Set(name, v)
		}
	}
	resp, err := (&http.Client{Transport: g.transport(), Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", address, err))
	}
	return resp, text(t, resp)
}
