package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const repository = "../.."

// readme returns the commands that a part of README.md shows, from after one
// piece of text to the next heading: its indented lines.
func readme(t *testing.T, after string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(raw), after)
	if !ok {
		t.Fatalf("README.md has no %q", after)
	}
	part, _, _ = strings.Cut(part, "\n## ")
	var commands strings.Builder
	for line := range strings.Lines(part) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			commands.WriteString(command)
		}
	}
	return commands.String()
}

// adapt replaces what this machine has otherwise. Every entry must be needed.
func adapt(t *testing.T, commands string, table [][2]string) string {
	t.Helper()
	for _, entry := range table {
		if !strings.Contains(commands, entry[0]) {
			t.Fatalf("the commands do not hold %q:\n%s", entry[0], commands)
		}
		commands = strings.ReplaceAll(commands, entry[0], entry[1])
	}
	return commands
}

// shell runs commands as somebody who copies them into a terminal, but stops at
// the first that fails.
func shell(t *testing.T, dir string, env []string, commands string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail")
	cmd.Dir, cmd.Env, cmd.Stdin = dir, append(os.Environ(), env...), strings.NewReader(commands)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s\nof\n%s", err, out, commands)
	}
	return string(out)
}

// TestReadmeWalk walks from an empty directory to a first protected app by the
// commands of the README, with and without a browser.
func TestReadmeWalk(t *testing.T) {
	t.Parallel()
	need(t, "bash")
	need(t, "curl")
	t.Run("commands alone", func(t *testing.T) {
		t.Parallel()
		walk(t, func(*testing.T, *gate, *string) {})
	})
	t.Run("with the link", func(t *testing.T) {
		t.Parallel()
		walk(t, func(t *testing.T, g *gate, commands *string) {
			*commands = adapt(t, *commands, [][2]string{{"bin/gatepost setup --config gatepost.yaml --client-file client.json\n", ""}})
			c := g.browser(t)
			resp, page := get(t, c, g.setupLink(t))
			_, done := submit(t, c, resp.Request.URL, page, answers(operatorPassword))
			write(t, filepath.Join(g.dir, "client.json"), clientFile(t, done))
		})
	})
}

// walk does what the README says; setUp may do the first set-up and change the
// commands that follow the start.
func walk(t *testing.T, setUp func(t *testing.T, g *gate, commands *string)) {
	dir, port := openDir(t), freePort(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(r.Header)
	}))
	t.Cleanup(upstream.Close)
	commands := adapt(t, readme(t, "## Protect a first app"), [][2]string{
		{"make build\n", "mkdir bin && ln -s " + binary + " bin/gatepost\n"},
		{"localhost:8080", "localhost:" + port},
		{"127.0.0.1:3000", upstream.Listener.Addr().String()},
	})
	env := []string{"GATEPOST_LISTEN__PUBLIC__ADDRESS=127.0.0.1:" + port, "GATEPOST_LISTEN__OPS__ADDRESS=127.0.0.1:0"}
	const serve = "bin/gatepost serve --config gatepost.yaml\n" // runs on, in a terminal of its own
	before, after, ok := strings.Cut(commands, serve)
	if !ok {
		t.Fatalf("the commands do not start the gateway:\n%s", commands)
	}
	if out := shell(t, dir, env, before); out != "The configuration is complete.\n" {
		t.Errorf("before the start:\n%s", out)
	}
	g := &gate{demo: demo{dir: dir, out: &output{}}}
	g.cmd = exec.Command("bash", "-c", "exec "+serve)
	g.cmd.Dir, g.cmd.Env, g.cmd.Stdout, g.cmd.Stderr = dir, append(os.Environ(), env...), g.out, g.out
	g.start(t)
	setUp(t, g, &after)
	out := shell(t, dir, nil, after)
	ids := regexp.MustCompile(`(?m)^\{"id":"[^"]+"`).FindAllString(out, -1)
	if len(ids) != 4 || strings.Contains(out, `"error"`) || strings.Contains(out, `"secret"`) {
		t.Fatalf("the API answered:\n%s", out)
	}
	g.AppURL = "http://app.localhost:" + port
	g.Users = append(g.Users, demoUser{"me@example.com", "a long sentence of mine"})
	seen := g.headersOf(t, g.browser(t), "/some/page?x=1")
	for name, want := range map[string]string{
		"X-Auth-Request-Preferred-Username": "me@example.com", "X-Auth-Request-Email": "me@example.com",
	} {
		if seen.Get(name) != want {
			t.Errorf("%s: the app got %q", name, seen.Get(name))
		}
	}
	moveIn(t, g, dir, port)
	makeClient(t, dir, commands, port)
	first := seen.Get("X-Auth-Request-User")
	if again := g.headersOf(t, g.browser(t), "/").Get("X-Auth-Request-User"); first == "" || again != first {
		t.Errorf("X-Auth-Request-User is %q at the first sign-in and %q at the second", first, again)
	}
}

// moveIn runs the commands of the section on people: the user that they import can
// sign in.
func moveIn(t *testing.T, g *gate, dir, port string) {
	t.Helper()
	write(t, filepath.Join(dir, "gatepost.yaml"), "base_url: http://localhost:"+port+"\ndata_dir: gatepost-data\nmail: {driver: directory}\n")
	out := shell(t, dir, nil, readme(t, "## People"))
	exported, err := os.ReadFile(filepath.Join(dir, "people.ndjson"))
	if err != nil || !strings.Contains(string(exported), "ann@example.com") {
		t.Errorf("the export has\n%s\n%v\nthe commands printed\n%s", exported, err, out)
	}
	g.Users = append(g.Users, demoUser{"ann@example.com", "abc123xyz"})
	resp, body := g.signIn(t, g.browser(t), g.AppURL+"/imported", len(g.Users)-1)
	if resp.Request.URL.Path != "/imported" {
		t.Errorf("the imported user's sign-in ends with %d at %s:\n%s", resp.StatusCode, resp.Request.URL, body)
	}
}

// makeClient runs the commands of the section on clients, with the token and the
// function that the first section made.
func makeClient(t *testing.T, dir, commands, port string) {
	t.Helper()
	i := strings.Index(commands, "TOKEN=")
	begin, _, ok := strings.Cut(commands[max(i, 0):], "}\n")
	if i < 0 || !ok {
		t.Fatalf("the commands define no api:\n%s", commands)
	}
	out := shell(t, dir, nil, begin+"}\n"+adapt(t, readme(t, "## OpenID clients"), [][2]string{{"localhost:8080", "localhost:" + port}}))
	for _, want := range []string{`"token_endpoint":"http://localhost:` + port + `/default/main/oauth2/token"`, `"token_type":"bearer"`} {
		if !strings.Contains(strings.ToLower(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if strings.Contains(out, `"error"`) {
		t.Errorf("the API answered\n%s", out)
	}
}

// headersOf signs the first user in and returns what the app received.
func (g *gate) headersOf(t *testing.T, c *http.Client, path string) http.Header {
	t.Helper()
	resp, body := g.signIn(t, c, g.AppURL+path, 0)
	var seen http.Header
	if err := json.Unmarshal([]byte(body), &seen); err != nil || resp.Request.URL.String() != g.AppURL+path {
		t.Fatalf("the sign-in ends with %d at %s:\n%s", resp.StatusCode, resp.Request.URL, body)
	}
	return seen
}

// TestReadmeCommands: the two commands at the top are there, and the first does
// what the README says.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	need(t, "make")
	var names []string
	for line := range strings.Lines(readme(t, "# Gatepost\n")) {
		command, _, _ := strings.Cut(line, "#")
		names = append(names, strings.TrimSpace(command))
	}
	if strings.Join(names, ", ") != "make demo, make test" {
		t.Fatalf("the README begins with the commands %q", names)
	}
	if out := shell(t, repository, nil, "make --dry-run test"); !strings.Contains(out, "./...") {
		t.Errorf("make test would run\n%s", out)
	}
	d := &demo{dir: filepath.Join(t.TempDir(), "data"), out: &output{}}
	d.cmd = exec.Command("make", "demo", "ARGS=--listen 127.0.0.1:0 --data "+d.dir)
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = repository, d.out, d.out
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGTERM) // make and the demo, as Ctrl-C does
		_ = d.cmd.Wait()
	})
	eventually(t, "make demo to answer", func() error {
		raw, err := os.ReadFile(filepath.Join(d.dir, "demo.json"))
		if err := errors.Join(err, json.Unmarshal(raw, d)); err != nil {
			return fmt.Errorf("%w\n%s", err, d.out)
		}
		conn, err := net.Dial("tcp", d.Listen)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if _, body := d.signIn(t, d.browser(t), d.AppURL, 0); !strings.Contains(body, "Alice") {
		t.Errorf("the app shows\n%s", body)
	}
	for _, want := range []string{d.AppURL, d.Users[0].Identifier, d.Users[1].Identifier, "demo.json"} {
		if !strings.Contains(d.out.String(), want) {
			t.Errorf("make demo does not print %s:\n%s", want, d.out)
		}
	}
	if u, err := url.Parse(d.BaseURL); err != nil || u.Hostname() != "localhost" {
		t.Errorf("the demo's base URL is %s", d.BaseURL)
	}
}
