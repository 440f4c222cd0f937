package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Unmodified OpenID clients of other makers, from npm, drive every grant against
// a running demo.
func TestJudges(t *testing.T) {
	t.Parallel()
	node := need(t, "node")
	modules := npm(t, "judges")
	d := startDemo(t)
	about, err := os.ReadFile(filepath.Join(d.dir, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, judge := range []string{"openid-client", "oauth4webapi"} {
		t.Run(judge, func(t *testing.T) {
			t.Parallel()
			run := exec.CommandContext(t.Context(), node, "--dns-result-order=ipv4first", judge+".mjs")
			run.Dir = beside(t, "judges", modules)
			run.Env = append(os.Environ(), "GATEPOST_DEMO="+string(about), "NODE_NO_WARNINGS=1")
			out, err := run.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s\nthe gateway said:\n%s", err, out, d.out)
			}
			t.Logf("%s", out)
		})
	}
}

// npm installs what a package-lock.json names, once for every version of it, and
// returns the directory node_modules. A test without npm is skipped, but in CI.
func npm(t *testing.T, dir string) string {
	t.Helper()
	tool := need(t, "npm")
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	parent := filepath.Join(cache, "gatepost-test")
	home := filepath.Join(parent, dir+"-"+hex.EncodeToString(sum[:8]))
	modules := filepath.Join(home, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(parent, "new-") //nolint:usetesting // it becomes home, which must be on the same disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(fresh) })
	for _, name := range []string{"package.json", "package-lock.json"} {
		copyFile(t, filepath.Join(dir, name), filepath.Join(fresh, name))
	}
	install := exec.CommandContext(t.Context(), tool, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir, install.WaitDelay = fresh, time.Second
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, home); err != nil { // somebody else was faster, or the disk is broken
		if _, err := os.Stat(modules); err != nil {
			t.Fatal(err)
		}
	}
	return modules
}

// beside copies a directory's scripts to where they find their modules.
func beside(t *testing.T, dir, modules string) string {
	t.Helper()
	at := t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".mjs") {
			copyFile(t, filepath.Join(dir, f.Name()), filepath.Join(at, f.Name()))
		}
	}
	if err := os.Symlink(modules, filepath.Join(at, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return at
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
