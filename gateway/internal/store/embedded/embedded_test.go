package embedded_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

func open(t testing.TB, c embedded.Config) *embedded.Driver {
	t.Helper()
	d, err := embedded.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestStoreFile(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		Server: "the embedded store in a file",
		Open:   func(t testing.TB) store.Driver { return openAt(t, filepath.Join(t.TempDir(), "x.db")) },
		Reopen: func(t testing.TB, d store.Driver) store.Driver {
			path := strings.TrimPrefix(d.Name(), "embedded ")
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			return openAt(t, path)
		},
		Old: openOld,
	})
}

func TestStoreMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		Server: "the embedded store in memory",
		Open:   storetest.Memory,
		Old:    openOld,
		Caps:   storetest.Caps{NoReopen: "the memory mode keeps nothing"},
	})
}

func BenchmarkFile(b *testing.B) {
	storetest.Bench(b, func(t testing.TB) store.Driver { return openAt(t, filepath.Join(t.TempDir(), "x.db")) })
}

func BenchmarkMemory(b *testing.B) { storetest.Bench(b, storetest.Memory) }

func openAt(t testing.TB, path string) store.Driver {
	t.Helper()
	return open(t, embedded.Config{Path: path})
}

// line is one key and value of a file of old rows.
type line struct {
	Bucket string `json:"bucket"`
	Key    []byte `json:"key"`
	Value  []byte `json:"value,omitempty"`
}

const oldFile = "testdata/v1/embedded.jsonl"

// openOld makes a file that holds exactly what format 1 wrote.
func openOld(t testing.TB) store.Driver {
	t.Helper()
	text, err := storetest.Old.ReadFile(oldFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "old.db")
	raw(t, path, func(tx *bbolt.Tx) error {
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			var l line
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				return err
			}
			b, err := tx.CreateBucketIfNotExists([]byte(l.Bucket))
			if err != nil {
				return err
			}
			if err := b.Put(l.Key, l.Value); err != nil {
				return err
			}
		}
		return lines.Err()
	})
	return openAt(t, path)
}

// raw changes a file behind the driver's back.
func raw(t testing.TB, path string, fn func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

var writeOld = flag.Bool("write-old", false, "write the file of old rows of this format anew")

// TestWriteOld makes the file of a new format. The file of a released format
// stays as it is.
func TestWriteOld(t *testing.T) {
	if !*writeOld {
		t.Skip("runs with -write-old, when the format changes")
	}
	path := filepath.Join(t.TempDir(), "x.db")
	d := open(t, embedded.Config{Path: path})
	storetest.WriteOld(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	raw(t, path, func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				return json.NewEncoder(&out).Encode(line{Bucket: string(name), Key: k, Value: v})
			})
		})
	})
	if err := os.WriteFile(filepath.Join("..", "storetest", oldFile), out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
