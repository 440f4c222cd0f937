package role

import (
	"testing"
	"time"
)

// TestCacheRace: what was read before a drop is not kept after it.
func TestCacheRace(t *testing.T) {
	t.Parallel()
	c := cache{now: func() time.Time { return time.Unix(1, 0) }, lists: map[cacheKey]cached{}}
	key := cacheKey{tenant: "acme", subject: "x"}
	_, _, turn := c.get(key)
	c.drop("acme") // somebody revokes while the store is being read
	c.put(key, []grant{{Role: Admin}}, turn)
	if list, ok, _ := c.get(key); ok {
		t.Errorf("kept %v", list)
	}
	_, _, turn = c.get(key)
	c.put(key, []grant{{Role: Member}}, turn)
	if list, ok, _ := c.get(key); !ok || len(list) != 1 {
		t.Errorf("did not keep %v", list)
	}
}

// TestCacheFull: the cache stays within its size.
func TestCacheFull(t *testing.T) {
	t.Parallel()
	c := cache{now: func() time.Time { return time.Unix(1, 0) }, lists: map[cacheKey]cached{}}
	for i := range 3 * cacheSize {
		c.put(cacheKey{tenant: "acme", subject: string(rune(i))}, nil, 0)
		if len(c.lists) > cacheSize {
			t.Fatalf("%d entries", len(c.lists))
		}
	}
}
