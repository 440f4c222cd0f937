package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

func TestID(t *testing.T) {
	t.Parallel()
	lists := [][]string{
		{},
		{""},
		{"", ""},
		{"a"},
		{"a", ""},
		{"", "a"},
		{"a", "b"},
		{"a/b"},
		{"a%2Fb"},
		{"a%252Fb"},
		{"a/", "b"},
		{"a", "/b"},
		{"%"},
		{"%25"},
		{"a\x00b"},
		{"a%00b"},
		{"a", "b", "c"},
		{"a", "b/c"},
		{"a/b", "c"},
	}
	seen := map[string][]string{}
	for _, parts := range lists[1:] { // no part and one empty part are the same id
		id := store.ID(parts...)
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q have the same id %q", parts, other, id)
		}
		seen[id] = parts
		for _, start := range lists[1:] {
			want := len(parts) > len(start) && slices.Equal(parts[:len(start)], start)
			if got := strings.HasPrefix(id, store.Prefix(start...)); got != want {
				t.Errorf("id of %q begins with the prefix of %q: %v, want %v", parts, start, got, want)
			}
		}
	}
	if got := store.ID("a", "b.c"); got != "a/b.c" {
		t.Errorf("plain parts give %q", got)
	}
}

func TestOrderTime(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("", 5*3600)
	times := []time.Time{
		{},
		time.Unix(0, 0), time.Unix(0, 1), time.Unix(0, 1e9-1), time.Unix(1, 0).In(east),
		time.Date(2026, 1, 1, 0, 0, 0, 0, east), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	for i := 1; i < len(times); i++ {
		if a, b := store.OrderTime(times[i-1]), store.OrderTime(times[i]); a >= b {
			t.Errorf("%v gives %q, the later %v %q", times[i-1], a, times[i], b)
		}
	}
}
