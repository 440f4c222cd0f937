package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
)

// childFile names the file that this binary writes to, when it runs as the
// process that will be killed.
const childFile = "GATEPOST_TEST_KILL_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const writers = 200

func killTable(ctx context.Context, d store.Driver) (*store.Table[killed], error) {
	return store.Declare(ctx, store.New(d, nil), store.Spec[killed]{
		Name: "killed",
		Indexes: map[string]func(*killed) (store.Key, bool){
			"writer": func(v *killed) (store.Key, bool) {
				return store.Key{Equal: fmt.Sprint(v.Writer), Order: fmt.Sprintf("%08d", v.N)}, true
			},
		},
	})
}

type killed struct {
	Writer int    `json:"writer"`
	N      int    `json:"n"`
	Pad    string `json:"pad"`
}

// child writes with all its might and says on stdout what was acknowledged, one
// id a line, until somebody kills it.
func child(path string) error {
	ctx := context.Background()
	d, err := embedded.Open(embedded.Config{Path: path})
	if err != nil {
		return err
	}
	table, err := killTable(ctx, d)
	if err != nil {
		return err
	}
	run := os.Getpid()
	fail := make(chan error)
	for w := range writers {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d/%d/%d", run, w, n)
				if _, err := table.Create(ctx, "t", id, killed{Writer: w, N: n, Pad: strings.Repeat("x", w)}); err != nil {
					fail <- err
					return
				}
				// One short write to a pipe is not mixed with others.
				if _, err := os.Stdout.WriteString(id + "\n"); err != nil {
					fail <- err
					return
				}
			}
		}()
	}
	return <-fail
}

// TestKill kills a writing process without warning and wants every write that
// it acknowledged to be in the file, and no index to point nowhere.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := 2
	if text := os.Getenv("GATEPOST_FAULT_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	path := filepath.Join(t.TempDir(), "x.db")
	var acknowledged []string
	for round := range rounds {
		got := runAndKill(t, path, 2000+1000*(round%3))
		acknowledged = append(acknowledged, got...)
		check(t, path, acknowledged)
	}
	t.Logf("%d rounds, %d acknowledged writes, none lost", rounds, len(acknowledged))
}

// runAndKill starts the child, kills it after it has acknowledged n writes, and
// returns all that it acknowledged.
func runAndKill(t *testing.T, path string, n int) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe) //nolint:gosec // this very test binary
	cmd.Env = append(os.Environ(), childFile+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got []string
	var once sync.Once
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a last line without its end was not said
			break
		}
		got = append(got, strings.TrimSuffix(line, "\n"))
		if len(got) == n {
			once.Do(func() { err = cmd.Process.Kill() })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed: always an error
	if len(got) < n {
		t.Fatalf("the child ended after %d writes", len(got))
	}
	return got
}

func check(t *testing.T, path string, acknowledged []string) {
	t.Helper()
	d, err := embedded.Open(embedded.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	table, err := killTable(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, id := range acknowledged {
		if _, err := table.Get(t.Context(), "t", id); err != nil {
			lost++
			t.Logf("%v", err)
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(acknowledged))
	}
	rows, err := table.Count(t.Context(), "t", store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	indexed := 0
	for w := range writers {
		err := table.All(t.Context(), "t", store.Query{Index: "writer", Equal: fmt.Sprint(w)}, func(store.Row[killed]) bool {
			indexed++
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if indexed != rows || rows < len(acknowledged) {
		t.Errorf("%d rows, %d in the index, %d acknowledged", rows, indexed, len(acknowledged))
	}
}
