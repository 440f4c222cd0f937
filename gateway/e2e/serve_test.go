package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// freeListeners is a configuration whose listeners take free ports. Browsers of
// these tests reach them whatever address they ask for; see demo.transport.
const freeListeners = `
base_url: http://localhost:8080
data_dir: data
listen:
  public: {address: 127.0.0.1:0}
  ops: {address: 127.0.0.1:0}
`

// gate is a running `gatepost serve`. Of demo it has what a browser and the API
// need.
type gate struct {
	demo
	ops    string // address of its ops listener
	config string // path of its configuration
}

var serves = regexp.MustCompile(`msg="gatepost serves" base_url=(\S+) listen=(\S+) ops=(\S*)`)

// startServe runs the gateway with a configuration, in a directory of its own,
// until the test ends.
func startServe(t *testing.T, yaml string, env ...string) *gate {
	t.Helper()
	return startServeIn(t, openDir(t), yaml, env...)
}

func startServeIn(t *testing.T, dir, yaml string, env ...string) *gate {
	t.Helper()
	g := &gate{demo: demo{dir: dir, out: &output{}}, config: configure(t, dir, yaml)}
	g.cmd = exec.Command(binary, "serve", "--config", g.config)
	g.cmd.Env = append(os.Environ(), env...)
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	g.start(t)
	return g
}

// start runs the prepared command and waits until it serves.
func (g *gate) start(t *testing.T) {
	t.Helper()
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.stop(t) })
	eventually(t, "the gateway to serve", func() error {
		said := serves.FindStringSubmatch(g.out.String())
		if said == nil {
			return fmt.Errorf("it printed:\n%s", g.out)
		}
		g.BaseURL, g.Listen, g.ops = said[1], said[2], said[3]
		return nil
	})
}

// configure writes gatepost.yaml and returns its path.
func configure(t *testing.T, dir, yaml string) string {
	t.Helper()
	path := filepath.Join(dir, "gatepost.yaml")
	write(t, path, yaml)
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// openDir is a t.TempDir that other users can reach.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// as makes a command run under another user, when this one may do that.
func as(cmd *exec.Cmd, uid uint32) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
}

// tool runs the program in the directory of the gateway, with its addresses as
// they turned out.
func (g *gate) tool(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	return gatepost(t, g.dir, []string{"GATEPOST_LISTEN__OPS__ADDRESS=" + g.ops}, args...)
}

// gatepost runs the program to its end. It returns what it wrote to standard
// output; the error of a program that failed is what it wrote to standard error.
func gatepost(t *testing.T, dir string, env []string, args ...string) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	return outcome(t, cmd)
}

func outcome(t *testing.T, cmd *exec.Cmd) (out string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		if exit.ExitCode() != 1 {
			t.Errorf("%v ended with %v", cmd.Args, err)
		}
		return stdout.String(), errors.New(stderr.String())
	} else if err != nil {
		t.Fatal(err)
	}
	return stdout.String(), nil
}

// oneLine checks that a program failed, silently but for one line that holds
// every one of the words.
func oneLine(t *testing.T, out string, err error, words ...string) {
	t.Helper()
	if err == nil || out != "" {
		t.Fatalf("no failure, or not a silent one: %v; it printed %q", err, out)
	}
	line, rest, _ := strings.Cut(err.Error(), "\n")
	if rest != "" || !strings.HasPrefix(line, "gatepost: ") {
		t.Errorf("want one line from gatepost:\n%v", err)
	}
	for _, word := range words {
		if !strings.Contains(line, word) {
			t.Errorf("the line does not hold %q:\n%s", word, line)
		}
	}
}

var ports atomic.Uint32

// freePort returns a port that nobody uses, for programs that must know it
// before they listen. It is none of those that the system gives to others.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		n := 10_000 + (uint32(os.Getpid())*37+ports.Add(1))%20_000
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n))
		if err != nil {
			continue
		}
		_ = ln.Close()
		return fmt.Sprint(n)
	}
	t.Fatal("no free port")
	return ""
}
