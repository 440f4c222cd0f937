package notifytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Version is of Mailpit.
const Version = "v1.27.11"

// Mailpit is a running mail server. Its methods end the test when something
// about the server itself fails.
type Mailpit struct {
	Host string // of SMTP
	Port int

	t   testing.TB
	api string
}

// Start runs a mail server until the test ends. Further flags are Mailpit's own,
// such as --smtp-auth-accept-any.
func Start(t testing.TB, flags ...string) *Mailpit {
	t.Helper()
	program, err := build(t.Context())
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("Mailpit cannot be built, and CI skips nothing: %v", err)
		}
		t.Skipf("Mailpit cannot be built, so no real mail server judges this: %v", err)
	}
	var last error
	for range 3 { // a free port may be taken by the time it is used
		m, err := run(t, program, flags)
		if err == nil {
			return m
		}
		last = err
	}
	t.Fatalf("Mailpit does not start: %v", last)
	return nil
}

// build returns the program, which is built once for all tests of this machine.
func build(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "gatepost-test", "mailpit-"+Version)
	program := filepath.Join(dir, "mailpit")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // holds a public program
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program, nil // another test process was faster
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "go", "install", "github.com/axllent/mailpit@"+Version)
	c.Dir = dir // outside of any module
	c.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0")
	out, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go install: %w\n%s", err, out)
	}
	return program, nil
}

// lock keeps two processes from building at once.
func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // which unlocks
}

func run(t testing.TB, program string, flags []string) (*Mailpit, error) {
	t.Helper()
	dir := t.TempDir()
	smtp, web, err := freePorts(t.Context())
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	args := append([]string{
		"--smtp", fmt.Sprint("127.0.0.1:", smtp), "--listen", fmt.Sprint("127.0.0.1:", web),
		"--database", filepath.Join(dir, "mails.db"), "--enable-chaos", "--disable-version-check", "--smtp-disable-rdns",
	}, flags...)
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = dir
	c.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	said := &output{}
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		stop()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(ended)
	}()
	end := func() { // by its process, and waited for
		stop()
		<-ended
	}
	m := &Mailpit{Host: "127.0.0.1", Port: smtp, t: t, api: fmt.Sprintf("http://127.0.0.1:%d/api/v1/", web)}
	if err := m.up(ended); err != nil {
		end()
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	t.Cleanup(end)
	return m, nil
}

// freePorts returns two ports that were free a moment ago.
func freePorts(ctx context.Context) (first, second int, err error) {
	var lc net.ListenConfig
	var ports [2]int
	for i := range ports {
		ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer func() { _ = ln.Close() }()
		ports[i] = ln.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

// up waits until both listeners answer.
func (m *Mailpit) up(ended <-chan struct{}) error {
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return errors.New("it ended")
		case <-deadline:
			return errors.New("it does not answer")
		case <-tick.C:
		}
		if _, err := m.ask(http.MethodGet, "info", nil); err != nil {
			continue
		}
		var d net.Dialer
		conn, err := d.DialContext(m.t.Context(), "tcp", fmt.Sprintf("%s:%d", m.Host, m.Port))
		if err == nil {
			return conn.Close()
		}
	}
}

// output keeps what the server says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns what was said.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// ask calls the REST interface.
func (m *Mailpit) ask(method, path string, body any) ([]byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(m.t.Context(), method, m.api+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %s", method, path, resp.Status, strings.TrimSpace(string(answer)))
	}
	return answer, err
}

func (m *Mailpit) must(method, path string, body, into any) {
	m.t.Helper()
	answer, err := m.ask(method, path, body)
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		m.t.Fatalf("Mailpit: %v", err)
	}
}
