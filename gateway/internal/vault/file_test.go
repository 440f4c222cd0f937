package vault_test

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/vault"
)

func TestCreateLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	made, err := vault.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode = %v, %v; want 0600", info.Mode(), err)
	}
	read, err := vault.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read.Open(seal(t, made, "secret", "here"), "here"); err != nil || string(got) != "secret" {
		t.Errorf("the file's ring opens %q, %v", got, err)
	}
	if _, err := vault.Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create = %v, want fs.ErrExist", err)
	}
	if err := read.Verify(made.CheckValue()); err != nil {
		t.Errorf("the second Create harmed the file: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("directory holds %v, %v; want the key file alone", left, err)
	}
}

func TestCreateRace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	rings := make([]*vault.Ring, 8)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() {
			r, err := vault.Create(path)
			if err != nil && !errors.Is(err, fs.ErrExist) {
				t.Errorf("Create = %v", err)
			}
			rings[i] = r
		})
	}
	wg.Wait()
	read, err := vault.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	won := 0
	for _, r := range rings {
		if r == nil {
			continue
		}
		won++
		if err := read.Verify(r.CheckValue()); err != nil {
			t.Errorf("a creator holds keys that are not in the file: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d creators won, want 1", won)
	}
}

func TestCreateNeedsDirectory(t *testing.T) {
	t.Parallel()
	if _, err := vault.Create(filepath.Join(t.TempDir(), "none", "keys")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create = %v, want fs.ErrNotExist", err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	good := base64.StdEncoding.EncodeToString(key("", 7).Secret)
	cases := []struct {
		name, text string
		mode       fs.FileMode
		want       []string // in the error; none: it loads
	}{
		{"comments and blanks", "# mine\n\n new:" + good + " \r\nold:" + good, 0o600, nil},
		{"read only", "a:" + good + "\n", 0o400, nil},
		{"group reads", "a:" + good + "\n", 0o640, []string{"0640", "chmod 600 "}},
		{"world reads", "a:" + good + "\n", 0o604, []string{"0604", "chmod 600 "}},
		{"group writes", "a:" + good + "\n", 0o620, []string{"0620"}},
		{"no colon", "a:" + good + "\nwhat\n", 0o600, []string{"line 2", "id:base64"}},
		{"not base64", "a:?" + good[1:], 0o600, []string{"line 1", "base64", `"a"`}},
		{"short", "# x\na:AAAA\n", 0o600, []string{"line 2", "3 bytes", "want 32"}},
		{"twice", "a:" + good + "\na:" + good + "\n", 0o600, []string{"twice"}},
		{"bad id", "a b:" + good + "\n", 0o600, []string{`"a b"`}},
		{"empty", "\n# nothing\n", 0o600, []string{"no key"}},
		{"huge", strings.Repeat("#", 70<<10), 0o600, []string{"larger"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "keys")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			r, err := vault.Load(path)
			if len(c.want) == 0 {
				if err != nil || r == nil {
					t.Errorf("Load = %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("Load took it")
			}
			for _, w := range append(c.want, path) {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("Load = %q, want it to say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), good[2:]) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestLoadOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := vault.Load(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want fs.ErrNotExist", err)
	}
	if _, err := vault.Load(dir); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a directory: %v", err)
	}
	path := filepath.Join(dir, "keys")
	if _, err := vault.Create(path); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link") // how orchestrators mount secrets
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Load(link); err != nil {
		t.Errorf("through a link: %v", err)
	}
}
