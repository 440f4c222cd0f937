package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestStartFigures reports how soon the program answers and how much memory it
// holds before the first password. It judges neither: machines differ.
func TestStartFigures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	configure(t, dir, freeListeners)
	for _, tc := range []struct {
		name string
		args func(address string) []string
		env  string // is given the address
		path string
	}{
		{"demo", func(address string) []string {
			return []string{"demo", "--data", filepath.Join(dir, "demo"), "--listen", address}
		}, "GATEPOST_TEST_NOTHING", "/default/default/.well-known/openid-configuration"},
		{"serve", func(string) []string {
			return []string{"serve", "--config", filepath.Join(dir, "gatepost.yaml")}
		}, "GATEPOST_LISTEN__OPS__ADDRESS", "/healthz"},
	} {
		for _, start := range []string{"on nothing", "again"} {
			address := "127.0.0.1:" + freePort(t)
			d := &demo{Listen: address, out: &output{}}
			d.cmd = exec.Command(binary, tc.args(address)...)
			d.cmd.Env = append(os.Environ(), tc.env+"="+address)
			d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
			began := time.Now()
			if err := d.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.stop(t) })
			d.answers(t, tc.path)
			t.Logf("%s, started %s: %s answered after %s; %s", tc.name, start, tc.path, time.Since(began).Round(time.Millisecond), memory(t, d.cmd.Process.Pid))
			d.stop(t)
		}
	}
}

// answers waits until a page is there, looking every millisecond.
func (d *demo) answers(t *testing.T, path string) {
	t.Helper()
	c := &http.Client{Transport: d.transport(), Timeout: 20 * time.Second}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		_, port, _ := strings.Cut(d.Listen, ":")
		resp, err := c.Get("http://localhost:" + port + path)
		if err == nil {
			text(t, resp)
			if resp.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("%s", resp.Status)
		}
		select {
		case <-deadline:
			t.Fatalf("%s: %v\n%s", path, err, d.out)
		case <-tick.C:
		}
	}
}

// memory returns what the kernel says of a process.
func memory(t *testing.T, pid int) string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err.Error()
	}
	var said []string
	for line := range strings.Lines(string(raw)) {
		if name, value, _ := strings.Cut(line, ":"); name == "VmRSS" || name == "VmHWM" || name == "RssAnon" {
			said = append(said, name+" "+strings.TrimSpace(value))
		}
	}
	return strings.Join(said, ", ")
}
