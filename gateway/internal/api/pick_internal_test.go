package api

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// numbers is a store of 0 to 999 that pages as the real one does.
func numbers(p store.Page) ([]int, error) {
	all := make([]int, 1000)
	for i := range all {
		all[i] = i
	}
	at := func(cursor string) int { return slices.Index(all, number(cursor)) }
	if p.Desc {
		slices.Reverse(all)
	}
	switch {
	case p.Before != "":
		end := at(p.Before)
		return slices.Clone(all[max(0, end-p.Limit):end]), nil
	case p.After != "":
		all = all[at(p.After)+1:]
	}
	return slices.Clone(all[:min(p.Limit, len(all))]), nil
}

func number(cursor string) int {
	n := 0
	for _, r := range cursor {
		n = 10*n + int(r-'0')
	}
	return n
}

func cursor(n *int) string {
	return string([]rune{'0' + rune(*n/100), '0' + rune(*n/10%10), '0' + rune(*n%10)})
}

func TestPick(t *testing.T) {
	t.Parallel()
	every300th := func(n *int) (bool, error) { return *n%300 == 7, nil } // 7 307 607 907
	for _, c := range []struct {
		name string
		page store.Page
		want []int
	}{
		{"first", store.Page{Limit: 2}, []int{7, 307}},
		{"all", store.Page{Limit: 10}, []int{7, 307, 607, 907}},
		{"after", store.Page{Limit: 2, After: "307"}, []int{607, 907}},
		{"before", store.Page{Limit: 2, Before: "907"}, []int{307, 607}},
		{"before the first", store.Page{Limit: 2, Before: "007"}, []int{}},
		{"down", store.Page{Limit: 3, Desc: true}, []int{907, 607, 307}},
		{"down, before", store.Page{Limit: 1, Desc: true, Before: "307"}, []int{607}},
	} {
		got, err := pick(c.page, cursor, every300th, numbers)
		if d := cmp.Diff(c.want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", c.name, err, d)
		}
	}
	broken := errors.New("broken")
	if _, err := pick(store.Page{Limit: 1}, cursor, func(*int) (bool, error) { return false, broken }, numbers); !errors.Is(err, broken) {
		t.Errorf("an error of keep: %v", err)
	}
	if _, err := pick(store.Page{Limit: 1}, cursor, every300th, func(store.Page) ([]int, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("an error of fetch: %v", err)
	}
}
