package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// pick returns the page p of those items that keep accepts; fetch returns a page
// of all of them, id the cursor of an item.
func pick[T any](p store.Page, id func(*T) string, keep func(*T) (bool, error), fetch func(store.Page) ([]T, error)) ([]T, error) {
	const batch = 100
	step, back := p, p.Before != ""
	step.Limit = batch
	out := []T{}
	for {
		items, err := fetch(step)
		if err != nil {
			return nil, err
		}
		full := len(items) == batch
		if back {
			slices.Reverse(items)
		}
		for i := range items {
			if len(out) == p.Limit {
				break
			}
			ok, err := keep(&items[i])
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, items[i])
			}
		}
		if !full || len(out) == p.Limit {
			break
		}
		if last := id(&items[batch-1]); back {
			step.Before = last
		} else {
			step.After = last
		}
	}
	if back {
		slices.Reverse(out)
	}
	return out, nil
}

// csv reads a query parameter that lists values separated by commas; absent and
// empty give nil.
func (x *call) csv(name string, allowed ...string) ([]string, error) {
	q, err := x.query()
	if err != nil || q.Get(name) == "" {
		return nil, err
	}
	values := strings.Split(q.Get(name), ",")
	for i, v := range values {
		values[i] = strings.TrimSpace(v)
		if !slices.Contains(allowed, values[i]) {
			return nil, fault.At(fault.Invalid, name, fmt.Sprintf("may list %s", strings.Join(allowed, ", ")))
		}
	}
	return values, nil
}
