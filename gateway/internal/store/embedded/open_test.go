package embedded_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
)

// refuses wants Open to fail with one line that has all of words.
func refuses(t *testing.T, path string, words ...string) {
	t.Helper()
	d, err := embedded.Open(embedded.Config{Path: path})
	if err == nil {
		t.Fatalf("opened %s", d.Name())
	}
	for _, word := range append(words, path) {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has several lines", err)
	}
}

func TestOpenLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	openAt(t, path)
	began := time.Now()
	refuses(t, path, "in use by another process")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := filepath.Join(dir, "newer.db")
	raw(t, newer, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("gatepost"))
		if err != nil {
			return err
		}
		return b.Put([]byte("format"), []byte("2"))
	})
	strange := filepath.Join(dir, "strange.db")
	raw(t, strange, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("apples")); return err })

	for name, c := range map[string]struct {
		path string
		says string
	}{
		"no such directory":      {filepath.Join(dir, "none", "x.db"), "no such file or directory"},
		"a file as directory":    {filepath.Join(write("file", "x"), "x.db"), "not a directory"},
		"a directory":            {dir, "is a directory"},
		"some text":              {write("text", strings.Repeat("not a store\n", 2000)), "invalid"},
		"cut short":              {write("short", "x"), ""},
		"newer":                  {newer, "run the newer release"},
		"another program's":      {strange, "not one of ours"},
		"a place without rights": {"/proc/x.db", "cannot open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refuses(t, c.path, c.says)
		})
	}
}

// TestOpenReadOnlyDirectory needs rights that bind: root writes everywhere.
func TestOpenReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write to every directory; /proc stands in for it in TestOpenRefuses")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // a directory needs its x bit
		t.Fatal(err)
	}
	refuses(t, filepath.Join(dir, "x.db"), "permission denied")
}

func TestFileMode(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	openAt(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

// TestMemoryLeavesNothing wants no name of the memory mode's file to stay
// behind, not even after a crash: it is gone while the store is open.
func TestMemoryLeavesNothing(t *testing.T) {
	t.Parallel()
	open(t, embedded.Config{})
	for _, dir := range []string{"/dev/shm", os.TempDir()} {
		found, err := filepath.Glob(filepath.Join(dir, "gatepost-*.db"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			// Another test may be opening its own at this moment.
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Minute {
				t.Errorf("%s was left", path)
			}
		}
	}
}

type blob struct {
	Text string `json:"text"`
}

// TestFull fills the file up to its limit: the write that does not fit fails as
// unavailable and leaves nothing, reads and small writes go on, and after a
// restart all that was acknowledged is there.
func TestFull(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	d := open(t, embedded.Config{Path: path, MaxSize: 40 << 20})
	table, err := store.Declare(t.Context(), store.New(d, nil), store.Spec[blob]{Name: "blobs"})
	if err != nil {
		t.Fatal(err)
	}
	large := blob{Text: strings.Repeat("x", 4<<20)}
	var kept []string
	for i := range 20 {
		id := fmt.Sprint(i)
		if _, err = table.Create(t.Context(), "t", id, large); err != nil {
			break
		}
		kept = append(kept, id)
	}
	if !errors.Is(err, store.ErrUnavailable) || len(kept) == 0 {
		t.Fatalf("after %d large records: %v", len(kept), err)
	}
	if _, err := table.Create(t.Context(), "t", "small", blob{}); err != nil {
		t.Errorf("small write to a full file: %v", err)
	}
	kept = append(kept, "small")
	for range 2 {
		for _, id := range kept {
			if _, err := table.Get(t.Context(), "t", id); err != nil {
				t.Errorf("get: %v", err)
			}
		}
		n, err := table.Count(t.Context(), "t", store.Query{})
		if err != nil || n != len(kept) {
			t.Errorf("counted %d, %v; want %d", n, err, len(kept))
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d = open(t, embedded.Config{Path: path})
		if table, err = store.Declare(t.Context(), store.New(d, nil), store.Spec[blob]{Name: "blobs"}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLoad creates more rows at once than one transaction takes.
func TestLoad(t *testing.T) {
	t.Parallel()
	const n = 5001
	table, err := store.Declare(t.Context(), store.New(open(t, embedded.Config{}), nil), store.Spec[blob]{Name: "blobs"})
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]store.Item[blob], n)
	for i := range rows {
		rows[i].ID = fmt.Sprint(i)
	}
	rows[n-1].ID = "0"
	for i, err := range table.CreateMany(t.Context(), "t", rows) {
		if (i == n-1) != errors.Is(err, store.ErrExists) {
			t.Fatalf("row %d: %v", i, err)
		}
	}
	got, err := table.Count(t.Context(), "t", store.Query{})
	if err != nil || got != n-1 {
		t.Errorf("counted %d, %v; want %d", got, err, n-1)
	}
}
