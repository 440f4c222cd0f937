package api

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The published table against ours: ids, methods, paths, statuses, tags.
func TestIdentityOperationsArePublished(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/identity_operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) == 5 && f[0] != "#" {
			want = append(want, strings.Join(f, " "))
		}
	}
	a := &API{}
	var got []string
	for _, o := range a.operations() {
		if !strings.HasPrefix(o.path, identityPaths) {
			continue
		}
		path := parameter.ReplaceAllString(o.path, "{$1}")
		tag := map[bool]string{true: "etag", false: "-"}[o.etag]
		got = append(got, fmt.Sprint(o.id, " ", o.method, " ", path, " ", o.ok, " ", tag))
		if o.once != (o.method == "POST") {
			t.Errorf("%s: takes an idempotency key: %v", o.id, o.once)
		}
		if o.run == nil || o.allow == "" || o.family != admin && !strings.HasSuffix(o.allow, "_configuration") && o.allow != scopeIdentity {
			t.Errorf("%s: needs %q", o.id, o.allow)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
