package pool_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// This file runs a few actors on one store in every order of their single steps.
//
//	actor a: create ...  --driver call--> stage --ask--> explorer: who may go on?
//	actor b: delete ...  --driver call--> stage --ask-->   run | lose | stop ...
//
// One step is one call of the driver for users or claims. Actors stand still at
// each, so an order of steps is a list of choices and can be run again. The
// explorer starts from every list that leads to a state it has not seen: a state
// is what is stored, by whom it was written, and what each actor has seen so far
// (actors do nothing but what they have seen makes them do).

// verdict is what becomes of a step.
type verdict byte

const (
	run      verdict = 'r' // it happens
	lose     verdict = 'l' // it does not, and the actor is told that the store is away
	mute     verdict = 'm' // it happens, and the actor is told that the store is away
	late     verdict = 'd' // it happens later or never, and the actor is told that the store is away
	arrive   verdict = 'a' // no step: what was late happens
	stop     verdict = 's' // it does not, nor does anything that this actor does later
	minute   verdict = 't' // no step: the leases run out
	everyone         = -1
)

type choice struct {
	actor int
	what  verdict
}

type actorKey struct{}

// actor is one caller of the package.
type actor struct {
	name string
	do   func(context.Context) error

	ask     chan string  // the step it wants to make
	answer  chan verdict // what becomes of it
	done    chan error
	waiting string
	over    bool
	stopped bool
	hurt    bool // a step was lost or its answer was
	err     error
	seen    []string
	sum     uint64 // a hash of seen
}

func (a *actor) see(what string) {
	a.seen = append(a.seen, what)
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, a.sum)
	_, _ = h.Write([]byte(what))
	a.sum = h.Sum64()
}

// cell is a stored record.
type cell struct {
	rec   store.Record // its Value is never changed
	label string       // who wrote it, at which of their steps
}

// stage is a driver that keeps records in a map and lets actors make steps when
// the explorer says so. What no actor does runs at once.
type stage struct {
	store.Driver // nil: panics for what the package does not use

	mu    sync.Mutex
	cells map[string]cell // by table, tenant and id
	now   time.Time
	quit  bool     // let everybody end: nothing happens any more
	under []func() // steps that are still on their way

	arriving bool // such a step happens now
}

var errAway = fmt.Errorf("away: %w", store.ErrUnavailable)

func cellID(table, tenant, id string) string { return table + " " + tenant + " " + id }

// step asks for leave and does f, which returns what the actor sees of it.
func (s *stage) step(ctx context.Context, table, what, id string, f func() (string, error)) error {
	a, _ := ctx.Value(actorKey{}).(*actor)
	if a == nil || table != "users" && table != "claims" {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, err := f()
		return err
	}
	if a.stopped {
		return errAway
	}
	a.ask <- what + " " + table + " " + id
	v := <-a.answer
	s.mu.Lock()
	defer s.mu.Unlock()
	if v == stop || s.quit {
		return errAway
	}
	if v == lose {
		a.see("lost")
		return errAway
	}
	if v == late {
		s.under = append(s.under, func() { _, _ = f() })
		a.see("late")
		return errAway
	}
	label, err := f()
	if v == mute {
		a.see("mute")
		return errAway
	}
	outcome := "ok"
	if err != nil {
		outcome = err.Error()
	}
	a.see(what + " " + id + " " + label + " " + outcome + " " + strconv.Itoa(s.now.Second()+60*s.now.Minute()))
	return err
}

// write stores a record and returns the label it gives it.
func (s *stage) write(ctx context.Context, at string, rec store.Record) string {
	label := "before"
	if a, _ := ctx.Value(actorKey{}).(*actor); a != nil {
		label = fmt.Sprintf("%s.%d.%v", a.name, len(a.seen), s.arriving)
	}
	s.cells[at] = cell{rec, label}
	return label
}

func (s *stage) live(at string, now time.Time) (cell, bool) {
	c, ok := s.cells[at]
	return c, ok && (c.rec.Expires.IsZero() || c.rec.Expires.After(now))
}

func (s *stage) Ensure(context.Context, string, []string) error { return nil }

func (s *stage) Close() error { return nil }

func (s *stage) Insert(ctx context.Context, table string, recs []store.Record, now time.Time) []error {
	at := cellID(table, recs[0].Tenant, recs[0].ID)
	return []error{s.step(ctx, table, "insert", recs[0].ID, func() (string, error) {
		if _, ok := s.live(at, now); ok {
			return "", store.ErrExists
		}
		return s.write(ctx, at, recs[0]), nil
	})}
}

func (s *stage) Get(ctx context.Context, table, tenant, id string, now time.Time) (out store.Record, err error) {
	err = s.step(ctx, table, "get", id, func() (string, error) {
		c, ok := s.live(cellID(table, tenant, id), now)
		if !ok {
			return "", store.ErrNotFound
		}
		out = c.rec
		out.Decode = func(into any) error { // a copy of the value: JSON would take most of the time
			reflect.ValueOf(into).Elem().Set(reflect.ValueOf(c.rec.Value).Elem())
			return nil
		}
		return c.label, nil
	})
	return out, err
}

func (s *stage) Replace(ctx context.Context, table string, rec store.Record, rev int64, now time.Time) error {
	at := cellID(table, rec.Tenant, rec.ID)
	return s.step(ctx, table, "replace", rec.ID, func() (string, error) {
		c, ok := s.live(at, now)
		switch {
		case !ok:
			return "", store.ErrNotFound
		case c.rec.Rev != rev:
			return "", store.ErrStale
		}
		return s.write(ctx, at, rec), nil
	})
}

func (s *stage) Delete(ctx context.Context, table, tenant, id string, rev int64) error {
	at := cellID(table, tenant, id)
	return s.step(ctx, table, "delete", id, func() (string, error) {
		c, ok := s.cells[at]
		switch {
		case !ok:
			return "", store.ErrNotFound
		case rev != 0 && c.rec.Rev != rev:
			return "", store.ErrStale
		}
		delete(s.cells, at)
		return "", nil
	})
}

// Count serves the counters of pools, which are not the subject here.
func (s *stage) Count(context.Context, string, store.Scan) (int, error) { return 0, nil }

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// listing returns the ids of live users that list a name.
func (s *stage) listing(t testing.TB, key string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for at, c := range s.cells {
		if !strings.HasPrefix(at, "users ") {
			continue
		}
		u, ok := c.rec.Value.(*pool.User)
		if !ok {
			t.Fatalf("%s holds %T", at, c.rec.Value)
		}
		lists := slices.ContainsFunc(u.Identifiers, func(i pool.Identifier) bool { return i.Key == key }) ||
			slices.ContainsFunc(u.Addresses, func(a pool.Address) bool { return a.Verified && a.Key == key })
		if lists && u.Grave.Until.IsZero() {
			ids = append(ids, u.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// budget bounds the orders of an explorer.
type budget struct {
	faults   int // steps lost, mute or stopped
	minutes  int // times that the leases run out
	switches int // times that an actor is left in the middle for another
}

// unbounded is more switches than any order has.
const unbounded = 1 << 20

// explorer tries every order of a scenario within a budget.
type explorer struct {
	t       testing.TB
	stage   *stage
	actors  func() []*actor
	budget  budget
	always  func() error             // holds after every step
	finally func(all []*actor) error // holds when everybody has ended

	base  map[string]cell // what is stored in the beginning
	start time.Time
	known map[uint64]bool
	seed  maphash.Seed
	todo  [][]choice
	runs  int
	ends  map[string]int // outcomes of the ends
}

func (e *explorer) explore() {
	e.base, e.start = maps.Clone(e.stage.cells), e.stage.now
	e.known, e.seed, e.ends = map[uint64]bool{}, maphash.MakeSeed(), map[string]int{}
	e.todo = [][]choice{nil}
	for len(e.todo) > 0 && !e.t.Failed() {
		prefix := e.todo[len(e.todo)-1]
		e.todo = e.todo[:len(e.todo)-1]
		e.runs++
		e.follow(prefix)
	}
}

// order is one order of steps while it is made.
type order struct {
	all  []*actor
	path []choice
	left budget
	last int // the actor that made the last step
}

// follow makes a list of choices, then the first choice there is at each point,
// and notes the others for later.
func (e *explorer) follow(prefix []choice) {
	e.stage.cells, e.stage.now, e.stage.quit, e.stage.under = maps.Clone(e.base), e.start, false, nil
	o := &order{all: e.actors(), left: e.budget, last: everyone}
	for _, a := range o.all {
		a.ask, a.answer, a.done = make(chan string), make(chan verdict), make(chan error, 1)
		go func() { a.done <- a.do(context.WithValue(e.t.Context(), actorKey{}, a)) }()
		a.settle()
	}
	for i := 0; ; i++ {
		next := choice{}
		if i < len(prefix) {
			next = prefix[i]
		} else {
			options := e.options(o)
			if len(options) == 0 {
				e.end(o)
				return
			}
			state := e.state(o)
			if e.known[state] {
				break
			}
			e.known[state] = true
			for _, other := range options[1:] {
				e.todo = append(e.todo, append(slices.Clone(o.path), other))
			}
			next = options[0]
		}
		if e.make(o, next) {
			if err := e.always(); err != nil {
				e.t.Errorf("%v\nafter %s", err, o.tell())
				break
			}
		}
	}
	e.abandon(o)
}

// settle waits until the actor stands at a step or has ended.
func (a *actor) settle() {
	select {
	case a.waiting = <-a.ask:
	case a.err = <-a.done:
		a.waiting, a.over = "", true
	}
}

// reads tells whether the step the actor stands at changes nothing.
func (a *actor) reads() bool { return strings.HasPrefix(a.waiting, "get") }

// make lets a step happen and tells whether it may have changed a user.
func (e *explorer) make(o *order, c choice) bool {
	o.path = append(o.path, c)
	if c.actor == everyone {
		e.stage.mu.Lock()
		defer e.stage.mu.Unlock()
		if c.what == arrive {
			e.stage.arriving = true
			e.stage.under[0]()
			e.stage.arriving = false
			e.stage.under = e.stage.under[1:]
			return true
		}
		o.left.minutes--
		e.stage.now = e.stage.now.Add(61 * time.Second)
		return false
	}
	if o.switches(c.actor) {
		o.left.switches--
	}
	if c.what != run {
		o.left.faults--
	}
	o.last = c.actor
	a := o.all[c.actor]
	a.stopped = a.stopped || c.what == stop
	a.hurt = a.hurt || c.what != run
	wrote := !a.reads() && strings.Contains(a.waiting, " users ")
	a.answer <- c.what
	a.settle()
	return wrote
}

// switches tells whether a step of that actor leaves another in the middle.
func (o *order) switches(actor int) bool {
	return o.last != everyone && o.last != actor && !o.all[o.last].over
}

// options lists what may happen next: first that the same actor goes on, so that
// the first path is one without switches and faults.
func (e *explorer) options(o *order) []choice {
	var out, faults []choice
	for i, a := range o.all {
		if a.over || o.switches(i) && o.left.switches <= 0 {
			continue
		}
		if next := (choice{i, run}); i == o.last {
			out = slices.Insert(out, 0, next)
		} else {
			out = append(out, next)
		}
		if o.left.faults > 0 {
			faults = append(faults, choice{i, stop})
			if !a.reads() {
				faults = append(faults, choice{i, lose}, choice{i, mute}, choice{i, late})
			}
		}
	}
	if len(out) > 0 && o.left.minutes > 0 {
		out = append(out, choice{everyone, minute})
	}
	if len(out) > 0 && len(e.stage.under) > 0 {
		out = append(out, choice{everyone, arrive})
	}
	return append(out, faults...)
}

// state is a hash of everything that what follows can depend on.
func (e *explorer) state(o *order) uint64 {
	var b strings.Builder
	num := func(n int) {
		b.WriteString(strconv.Itoa(n))
		b.WriteByte(' ')
	}
	num(o.left.faults)
	num(o.left.minutes)
	if o.left.switches < unbounded/2 { // else neither matters
		num(o.left.switches)
		num(o.last)
	}
	num(int(e.stage.now.Sub(e.start)))
	num(len(e.stage.under)) // there is at most one, and the actor's memory says which
	for _, at := range slices.Sorted(maps.Keys(e.stage.cells)) {
		b.WriteString(at)
		b.WriteString(e.stage.cells[at].label)
	}
	for _, a := range o.all {
		b.WriteString(strconv.FormatBool(a.over) + strconv.FormatBool(a.stopped))
		b.WriteString(a.waiting)
		num(len(a.seen))
		num(int(a.sum))
	}
	return maphash.String(e.seed, b.String())
}

func (e *explorer) end(o *order) {
	var outcome []string
	for _, a := range o.all {
		switch {
		case a.stopped:
			outcome = append(outcome, a.name+" stopped")
		case a.err != nil:
			outcome = append(outcome, a.name+" refused")
		default:
			outcome = append(outcome, a.name+" done")
		}
	}
	e.ends[strings.Join(outcome, ", ")]++
	if err := e.finally(o.all); err != nil {
		e.t.Errorf("%v\nafter %s", err, o.tell())
	}
}

// abandon lets actors end without effect.
func (e *explorer) abandon(o *order) {
	e.stage.mu.Lock()
	e.stage.quit = true
	e.stage.mu.Unlock()
	for _, a := range o.all {
		for !a.over {
			a.answer <- stop
			a.settle()
		}
	}
}

func (o *order) tell() string {
	var b strings.Builder
	for _, c := range o.path {
		if c.actor == everyone {
			fmt.Fprintf(&b, "[%c] ", c.what)
		} else {
			fmt.Fprintf(&b, "%s:%c ", o.all[c.actor].name, c.what)
		}
	}
	for _, a := range o.all {
		fmt.Fprintf(&b, "\n  %s (%v): %s", a.name, a.err, strings.Join(a.seen, "; "))
	}
	return b.String()
}

// definite tells whether an actor's refusal means that nothing was done.
func (a *actor) definite() bool {
	return !a.stopped && !a.hurt && a.err != nil && !errors.Is(a.err, store.ErrUnavailable)
}
