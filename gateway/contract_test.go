package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatepost/gatepost/gateway"
)

// line is a line of testdata/contract/operations.tsv.
type line struct {
	id, method, path, caller string
	statuses                 []string // success first
	tag                      bool     // a success carries an ETag
	carries                  string   // body, form or -

	mu   sync.Mutex
	seen map[string]bool // statuses
}

func (l *line) at() string { return l.method + " " + l.path }

func (l *line) saw(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[fmt.Sprint(status)] = true
}

func (l *line) may(status int) bool { return slices.Contains(l.statuses, fmt.Sprint(status)) }

// table is what the gateway is to serve.
type table []*line

var hole = regexp.MustCompile(`\{\w+\}`)

// rows reads a file of testdata/contract with so many columns between tabs.
func rows(t *testing.T, name string, columns int) [][]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata/contract", name))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for text := range strings.Lines(string(raw)) {
		text = strings.TrimRight(text, "\n")
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		f := strings.Split(text, "\t")
		if len(f) != columns {
			t.Fatalf("%s: %d columns, not %d: %s", name, len(f), columns, text)
		}
		out = append(out, f)
	}
	return out
}

func readTable(t *testing.T) table {
	t.Helper()
	var all table
	for _, f := range rows(t, "operations.tsv", 8) {
		all = append(all, &line{
			id: f[0], method: f[1], path: f[2], caller: f[3], statuses: strings.Fields(strings.ReplaceAll(f[4], "+", "")),
			tag: strings.EqualFold(f[5], "ET"), carries: f[7], seen: map[string]bool{},
		})
	}
	return all
}

// find returns the line of a request: where two fit, the one with fewer
// parameters.
func (all table) find(method, path string) *line {
	var best *line
	got := strings.Split(path, "/")
	for _, l := range all {
		want := strings.Split(l.path, "/")
		fits := l.method == method && len(want) == len(got)
		for i := 0; fits && i < len(want); i++ {
			fits = want[i] == got[i] || hole.MatchString(want[i])
		}
		if fits && (best == nil || strings.Count(l.path, "{") < strings.Count(best.path, "{")) {
			best = l
		}
	}
	return best
}

// api tells whether an address belongs to what the table lists.
func listed(path string) bool {
	return strings.HasPrefix(path, "/api/") || regexp.MustCompile(`^/\{\w+\}/\{\w+\}/identity/(v2/)?(self|public)/`).MatchString(path)
}

// Every address of the API is in the table, and everything in the table is
// mounted.
func TestContractIsMounted(t *testing.T) {
	t.Parallel()
	g := gateway.Start(t)
	known, mounted := map[string]bool{}, map[string]bool{}
	for _, l := range readTable(t) {
		at := hole.ReplaceAllString(l.at(), "{}")
		if known[at] {
			t.Errorf("%s %s is listed twice", l.id, l.at())
		}
		known[at] = true
	}
	for _, at := range g.Mounted {
		method, path, _ := strings.Cut(at, " ")
		mounted[hole.ReplaceAllString(at, "{}")] = true
		if listed(path) && method != http.MethodHead && !known[hole.ReplaceAllString(at, "{}")] {
			t.Errorf("%s is mounted and not in operations.tsv", at)
		}
	}
	for _, l := range readTable(t) {
		if !mounted[hole.ReplaceAllString(l.at(), "{}")] {
			t.Errorf("%s is listed and not mounted: %s", l.id, l.at())
		}
	}
}

// Every operation answers with every status that its line declares, and with no
// other. testdata/contract/*.http has the requests; what a request is good for
// with a wrong token, a broken body and so on is tried with each of them. A status
// that cannot be had stands in unreachable.tsv, with the reason.
func TestContract(t *testing.T) {
	t.Parallel()
	w := &world{Running: gateway.Start(t), t: t, table: readTable(t)}
	w.root, w.rootSystem = w.token(w.Demo.Clients.Root), w.token(w.Demo.Clients.RootSystem)
	files, err := filepath.Glob("testdata/contract/*.http")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	t.Run("cases", func(t *testing.T) {
		for _, file := range files {
			for _, family := range families(t, file) {
				t.Run(filepath.Base(file)+" "+family, func(t *testing.T) {
					t.Parallel()
					w.newScenario(t, family).play(file)
				})
			}
		}
	})
	t.Run("too many", w.tooMany)
	w.covered()
}

// covered fails for declared statuses that nobody saw.
func (w *world) covered() {
	w.t.Helper()
	excused := map[string]bool{} // "METHOD path status": used
	for _, f := range rows(w.t, "unreachable.tsv", 3) {
		status, pattern := f[1], regexp.MustCompile("^(?:"+f[0]+")$")
		some := false
		for _, l := range w.table {
			if !pattern.MatchString(l.id+" "+l.at()) || !slices.Contains(l.statuses, status) {
				continue
			}
			some = true
			excused[l.at()+" "+status] = true
			if l.seen[status] {
				w.t.Errorf("unreachable.tsv: %s %s answers with %s after all", l.id, l.at(), status)
			}
		}
		if !some {
			w.t.Errorf("unreachable.tsv: no line declares what this is about: %s", strings.Join(f, " "))
		}
	}
	for _, l := range w.table {
		for _, status := range l.statuses {
			if !l.seen[status] && !excused[l.at()+" "+status] {
				w.t.Errorf("%s %s: no case gives %s", l.id, l.at(), status)
			}
		}
	}
}
