package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Harness is a backend under test.
type Harness struct {
	// Server names what runs, such as "FerretDB 1.24.0", for the report.
	Server string
	// Open returns a driver on an empty backend of its own. It is closed, and
	// what it keeps is removed, when the test ends.
	Open func(t testing.TB) store.Driver
	// Reopen closes d and opens the same data again.
	Reopen func(t testing.TB, d store.Driver) store.Driver
	// Old returns a driver on the backend's rows of testdata/v1.
	Old func(t testing.TB) store.Driver
	// Caps declares what the backend cannot do.
	Caps Caps
}

// Caps declares what a backend cannot do: each field is the reason, and empty
// where it can. The zero value promises everything.
type Caps struct {
	// NoAtomicUpdates: a write that depends on a record's revision or expiry is
	// not one step with the check, so of several racing callers more than one
	// may be told that it won.
	NoAtomicUpdates string
	// NoReopen: nothing outlives Close.
	NoReopen string
	// NoOld: there are no rows of older formats to read.
	NoOld string
	// Smaller makes the suite use fewer records and rounds.
	Smaller string
}

// lost says what a missing ability leaves unshown.
func (c Caps) lost() map[string]string {
	lost := map[string]string{}
	add := func(what, why string) {
		if why != "" {
			lost[what] = why
		}
	}
	add("that of several racing swaps, updates or re-creations of an expired record exactly one wins", c.NoAtomicUpdates)
	add("that records outlive a restart", c.NoReopen)
	add("that rows of format 1 are readable", c.NoOld)
	add("the suite at its full size", c.Smaller)
	return lost
}

// Run judges a backend. Every case runs in parallel on a backend of its own.
func Run(t *testing.T, h Harness) {
	t.Logf("store suite: ran on %s", h.Server)
	for what, why := range h.Caps.lost() {
		t.Logf("store suite: ran on %s: could not show: %s (%s)", h.Server, what, why)
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, h)
		})
	}
}

// cases is the suite.
var cases = map[string]func(*testing.T, Harness){
	"create, read, swap, delete":    testLife,
	"create many":                   testMany,
	"update":                        testUpdate,
	"a recreated record":            testRecreated,
	"unusable keys":                 testUnusable,
	"unknown index":                 testUnknownIndex,
	"race to create":                testRaceCreate,
	"race to create after expiry":   testRaceExpired,
	"race to swap":                  testRaceSwap,
	"race to take":                  testRaceTake,
	"pages of an index":             testPages,
	"bounds":                        testBounds,
	"ids by prefix":                 testPrefix,
	"keys that look alike":          testAlike,
	"order of ids":                  testOrder,
	"all rows":                      testAll,
	"index follows the value":       testReindex,
	"random work against a model":   testModel,
	"expiry":                        testExpiry,
	"expiry to the millisecond":     testExpiryExact,
	"due":                           testDue,
	"sweep":                         testSweep,
	"tenants are apart":             testTenants,
	"purge":                         testPurge,
	"values":                        testValues,
	"raw JSON":                      testRaw,
	"values that are not documents": testPlainValues,
	"value that cannot be stored":   testBadValue,
	"schema versions":               testVersions,
	"rows of format 1":              testOld,
	"reopen":                        testReopen,
	"closed":                        testClosed,
	"ended context":                 testContext,
}

// start is the time at which every case begins.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// item is what most cases keep.
type item struct {
	Name    string    `json:"name"`
	Group   string    `json:"group,omitempty"`
	Place   string    `json:"place,omitempty"`
	Number  int64     `json:"number"`
	Expires time.Time `json:"expires"`
	Due     time.Time `json:"due"`
}

func itemSpec(name string) store.Spec[item] {
	return store.Spec[item]{
		Name: name,
		Indexes: map[string]func(*item) (store.Key, bool){
			"group":  func(v *item) (store.Key, bool) { return store.Key{Equal: v.Group, Order: v.Place}, v.Group != "" },
			"number": func(v *item) (store.Key, bool) { return store.Key{Order: fmt.Sprintf("%020d", v.Number)}, true },
		},
		Expires: func(v *item) time.Time { return v.Expires },
		Due:     func(v *item) time.Time { return v.Due },
	}
}

// kit is what a case works with.
type kit struct {
	*testing.T
	ctx    context.Context
	clock  *Clock
	driver store.Driver
	store  *store.Store
	items  *store.Table[item]
}

func open(t *testing.T, h Harness) *kit {
	t.Helper()
	return around(t, h.Open(t))
}

// around makes a kit over an open driver.
func around(t *testing.T, d store.Driver) *kit {
	t.Helper()
	k := &kit{T: t, ctx: t.Context(), clock: NewClock(start), driver: d}
	k.store = store.New(d, k.clock.Now)
	k.items = declare(k, itemSpec("items"))
	return k
}

func declare[T any](k *kit, spec store.Spec[T]) *store.Table[T] {
	k.Helper()
	table, err := store.Declare(k.ctx, k.store, spec)
	if err != nil {
		k.Fatal(err)
	}
	return table
}

// create stores values under ids of the tenant "t".
func (k *kit) create(id string, v item) store.Row[item] {
	k.Helper()
	row, err := k.items.Create(k.ctx, "t", id, v)
	k.must(err)
	return row
}

// fill creates many records at once.
func (k *kit) fill(tenant string, vs []store.Item[item]) {
	k.Helper()
	for _, err := range k.items.CreateMany(k.ctx, tenant, vs) {
		k.must(err)
	}
}

func (k *kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// want fails unless err is the wanted error.
func (k *kit) want(doing string, err, want error) {
	k.Helper()
	if !errors.Is(err, want) {
		k.Errorf("%s: got error %v, want %v", doing, err, want)
	}
}

// same fails unless got is want.
func same[T any](t testing.TB, doing string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", doing, diff)
	}
}

// ids lists the ids of rows.
func ids[T any](rows []store.Row[T]) []string {
	var list []string
	for _, row := range rows {
		list = append(list, row.ID)
	}
	return list
}
