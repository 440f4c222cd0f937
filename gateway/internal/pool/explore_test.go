package pool_test

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
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
	e.stage.alias = map[string]string{}
	o := &order{all: e.actors(), left: e.budget, last: everyone}
	for _, a := range o.all {
		a.ask, a.answer, a.done = make(chan string), make(chan verdict), make(chan error, 1)
		go func() { a.done <- a.do(context.WithValue(e.t.Context(), actorKey{}, a)) }()
		a.settle()
	}
	for i := 0; ; i++ {
		var next choice
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
	stored := make([]string, 0, len(e.stage.cells))
	for at, c := range e.stage.cells {
		stored = append(stored, e.stage.known(at)+c.label)
	}
	slices.Sort(stored)
	b.WriteString(strings.Join(stored, " "))
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
