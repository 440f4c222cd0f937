package limit

import "time"

// slots is into how many parts a window is cut. Tries within a part are kept as
// one number and leave the window together with the last moment of their part.
const slots = 64

// tries are the counted tries of one key in a sliding window, as a bounded list:
// at most slots+1 numbers, however many tries. A try counts for the window and
// up to a 64th of it longer, never shorter, so no window ever holds more than
// was allowed.
type tries struct {
	Slots []slot    `json:"slots,omitempty"` // oldest first
	Since time.Time `json:"since,omitzero"`  // refused since: the first try too many
	Next  time.Time `json:"next,omitzero"`   // of the total: the next free place
	Gone  time.Time `json:"gone"`            // when the record has no effect any more
}

type slot struct {
	End int64 `json:"end"` // Unix milliseconds: the last moment of the part
	N   int   `json:"n"`
}

// forget returns t without the tries that have left the window. The result
// shares nothing with t. A clock that was put back makes no try last longer.
func (t tries) forget(now time.Time, window time.Duration) tries {
	oldest, newest := now.Add(-window).UnixMilli(), now.UnixMilli()+width(window)
	kept := make([]slot, 0, len(t.Slots)+1)
	for _, s := range t.Slots {
		if s.End > oldest {
			kept = append(kept, slot{min(s.End, newest), s.N})
		}
	}
	t.Slots = kept
	return t
}

// count returns the number of tries.
func (t *tries) count() int {
	n := 0
	for _, s := range t.Slots {
		n += s.N
	}
	return n
}

// add counts one more. t is the result of forget.
func (t *tries) add(now time.Time, window time.Duration) {
	w := width(window)
	end := (now.UnixMilli()/w + 1) * w
	last := len(t.Slots) - 1
	if last >= 0 && t.Slots[last].End >= end {
		t.Slots[last].N++
	} else {
		t.Slots = append(t.Slots, slot{end, 1})
	}
	t.last(time.UnixMilli(t.Slots[len(t.Slots)-1].End).Add(window))
}

// undo takes the youngest try back.
func (t *tries) undo() {
	last := len(t.Slots) - 1
	if last < 0 {
		return
	}
	if t.Slots[last].N--; t.Slots[last].N <= 0 {
		t.Slots = t.Slots[:last]
	}
}

// room returns how long it takes until fewer than limit tries are in the window.
func (t *tries) room(now time.Time, window time.Duration, limit int) time.Duration {
	n := t.count()
	var wait time.Duration
	for _, s := range t.Slots {
		if n < limit {
			break
		}
		n -= s.N
		wait = time.UnixMilli(s.End).Add(window).Sub(now)
	}
	return max(wait, 0)
}

// last lets the record live at least until at.
func (t *tries) last(at time.Time) {
	if at.After(t.Gone) {
		t.Gone = at
	}
}

// width is the length of a part in milliseconds.
func width(window time.Duration) int64 { return max(window.Milliseconds()/slots, 1) }
