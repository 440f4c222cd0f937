package pool_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
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
	cells map[string]cell   // by table, tenant and id
	alias map[string]string // of random ids: who made them
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
	a.ask <- what + " " + table + " " + s.known(id)
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
	a.see(what + " " + s.known(id) + " " + label + " " + outcome + " " + strconv.Itoa(s.now.Second()+60*s.now.Minute()))
	return err
}

// write stores a record and returns the label it gives it.
func (s *stage) write(ctx context.Context, at string, rec store.Record) string {
	label := "before"
	a, _ := ctx.Value(actorKey{}).(*actor)
	if a != nil {
		label = fmt.Sprintf("%s.%d.%v", a.name, len(a.seen), s.arriving)
	}
	if of := reflect.ValueOf(rec.Value).Elem().FieldByName("Owner"); of.IsValid() && a != nil && len(of.String()) == 32 && s.alias[of.String()] == "" {
		s.alias[of.String()] = a.name
	}
	s.cells[at] = cell{rec, label}
	return label
}

// known is a text with the names of those who made random ids in their place, so
// that two orders that differ by chance alone are the same.
func (s *stage) known(text string) string {
	for id, name := range s.alias {
		text = strings.ReplaceAll(text, id, name)
	}
	return text
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

// Scan serves the lists of MFA sessions, which are not the subject here.
func (s *stage) Scan(context.Context, string, store.Scan) ([]store.Record, error) { return nil, nil }

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

// definite tells whether an actor's refusal means that nothing was done.
func (a *actor) definite() bool {
	return !a.stopped && !a.hurt && a.err != nil && !errors.Is(a.err, store.ErrUnavailable)
}
