package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// alike are tenants and ids that would meet if they were joined carelessly.
var alike = []string{"", "t", "t/", "t/a", "t/a/b", "t%2Fa", "t%", "t\x00", "t\x00\x01", "t\x00\xc3\xbf", "T", "tt", "$t", "t.a", "é", "\U0010ffff"}

// testTenants wants every operation to touch its own tenant alone.
func testTenants(t *testing.T, h Harness) {
	k := open(t, h)
	idsOf := []string{"a", "a/b", "/a", "b", "/", "\x01a", "\x00\x01a", "%2Fa"}
	for i, tenant := range alike {
		var all []store.Item[item]
		for j, id := range idsOf {
			all = append(all, store.Item[item]{ID: id, Value: item{Group: "g", Place: id, Number: int64(100*i + j)}})
		}
		k.fill(tenant, all)
	}
	for i, tenant := range alike {
		for j, id := range idsOf {
			row, err := k.items.Get(k.ctx, tenant, id)
			k.must(err)
			same(t, fmt.Sprintf("number of %q in %q", id, tenant), row.Value.Number, int64(100*i+j))
		}
		checkTenant(k, tenant, len(idsOf))
	}
	for _, tenant := range alike {
		row, err := k.items.Get(k.ctx, tenant, "a")
		k.must(err)
		_, err = k.items.Swap(k.ctx, tenant, "a", row.Rev, item{Group: "g", Name: tenant})
		k.must(err)
		k.must(k.items.Delete(k.ctx, tenant, "b"))
	}
	for _, tenant := range alike {
		row, err := k.items.Get(k.ctx, tenant, "a")
		k.must(err)
		same(t, "name", row.Value.Name, tenant)
		checkTenant(k, tenant, len(idsOf)-1)
	}
}

// checkTenant wants every way of listing a tenant to give want rows of its own.
func checkTenant(k *kit, tenant string, want int) {
	k.Helper()
	for _, q := range []store.Query{{}, {Index: "group", Equal: "g"}, {Index: "number"}} {
		n, err := k.items.Count(k.ctx, tenant, q)
		k.must(err)
		rows, err := k.items.Find(k.ctx, tenant, q, store.Page{Limit: 100, Desc: want%2 == 0})
		k.must(err)
		if n != want || len(rows) != want {
			k.Errorf("tenant %q by index %q: counted %d, found %d, want %d", tenant, q.Index, n, len(rows), want)
		}
		for _, row := range rows {
			if row.Tenant != tenant {
				k.Errorf("tenant %q sees %q of %q", tenant, row.ID, row.Tenant)
			}
		}
	}
}

func testPurge(t *testing.T, h Harness) {
	k := open(t, h)
	other := declare(k, itemSpec("others"))
	for _, tenant := range []string{"t", "t/a", "u"} {
		var all []store.Item[item]
		for i := range 30 {
			all = append(all, store.Item[item]{ID: fmt.Sprint("a/", i), Value: item{Group: "g", Expires: start.Add(time.Duration(i) * time.Second)}})
		}
		k.fill(tenant, all)
		_, err := other.Create(k.ctx, tenant, "a", item{})
		k.must(err)
	}
	k.clock.Advance(15 * time.Second) // half of them have expired, and go as well
	k.must(k.store.Purge(k.ctx, "t"))
	k.clock.Advance(-time.Hour)
	for tenant, want := range map[string]int{"t": 0, "t/a": 30, "u": 30} {
		n, err := k.items.Count(k.ctx, tenant, store.Query{Index: "group", Equal: "g"})
		k.must(err)
		same(t, "items of "+tenant, n, want)
		n, err = other.Count(k.ctx, tenant, store.Query{})
		k.must(err)
		same(t, "others of "+tenant, n, min(want, 1))
	}
	k.must(k.store.Purge(k.ctx, "t"))
}
