package pool_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// disputed is the name that everybody in these scenarios wants.
const disputed = "anna@example.com"

// scenario is a pool with some users and actors on it.
type scenario struct {
	name   string
	before func(w *world)
	actors func(w *world) []*actor
	// ends must occur among the outcomes: a protocol that refuses everybody is safe
	// and useless.
	ends []string
	// How many switches the orders without faults have, and those with faults and
	// lapses. Further ones are left to make fault.
	orders, faults int
}

func creator(w *world, id string) *actor {
	return &actor{name: "create-" + id, do: func(ctx context.Context) error {
		_, err := w.Users.Create(ctx, tenantID, "p", pool.NewUser{
			ID: id, Status: pool.StatusActive, Identifiers: []pool.NewUserIdentifier{{Type: pool.Email, Identifier: disputed}},
		})
		return err
	}}
}

func deleter(w *world, id string) *actor {
	return &actor{name: "delete-" + id, do: func(ctx context.Context) error { return w.Users.Delete(ctx, tenantID, "p", id, 0) }}
}

func adder(w *world, id string) *actor { return adderOf(w, id, disputed) }

func adderOf(w *world, id, address string) *actor {
	return &actor{name: "add-" + id, do: func(ctx context.Context) error {
		_, err := w.Users.AddIdentifier(ctx, tenantID, "p", id, pool.NewUserIdentifier{Type: pool.Email, Identifier: address})
		return err
	}}
}

func remover(w *world, id string) *actor {
	return &actor{name: "remove-" + id, do: func(ctx context.Context) error {
		_, err := w.Users.RemoveIdentifier(ctx, tenantID, "p", id, disputed)
		return err
	}}
}

func verifier(w *world, id string) *actor {
	return &actor{name: "verify-" + id, do: func(ctx context.Context) error {
		_, err := w.Users.UpdateAddress(ctx, tenantID, "p", id, pool.UpdateAddress{Address: disputed, Status: pool.StatusActive, Verified: true})
		return err
	}}
}

// registrar registers the disputed name. Taken counts as a refusal.
func registrar(w *world, who string) *actor {
	return &actor{name: "register-" + who, do: func(ctx context.Context) error {
		r, err := w.Users.Register(ctx, tenantID, "p", pool.Registration{Identifier: disputed})
		if err == nil && r.Taken {
			return fault.New(fault.Conflict, "taken", nil)
		}
		return err
	}}
}

// activator activates the one user that registered.
func activator(w *world, who string) *actor {
	return &actor{name: "activate-" + who, do: func(ctx context.Context) error {
		_, err := w.Users.Activate(ctx, tenantID, "p", w.registered, pool.Activation{Address: disputed})
		return err
	}}
}

func scenarios() []scenario {
	registered := func(w *world) {
		r := must[pool.Registered](w.t)(w.Users.Register(w.t.Context(), tenantID, "p", pool.Registration{Identifier: disputed}))
		w.registered = r.User.ID
	}
	// Its name is the disputed one by its address alone.
	other := func(w *world) {
		r := must[pool.Registered](w.t)(w.Users.Register(w.t.Context(), tenantID, "p", pool.Registration{Identifier: "anna", Address: disputed}))
		w.registered = r.User.ID
	}
	holder := func(w *world) { w.user("p", `"id":"old",`+email(disputed)) }
	return []scenario{
		{
			"two creators and a deleter", holder,
			func(w *world) []*actor { return []*actor{creator(w, "a"), creator(w, "b"), deleter(w, "old")} },
			[]string{
				"create-a done, create-b refused, delete-old done",
				"create-a refused, create-b done, delete-old done",
				"create-a refused, create-b refused, delete-old done",
			},
			unbounded, 0,
		},
		{
			"two creators of a free name", func(*world) {},
			func(w *world) []*actor { return []*actor{creator(w, "a"), creator(w, "b")} },
			[]string{"create-a done, create-b refused", "create-a refused, create-b done"},
			unbounded, 1,
		},
		{
			"two that add and one that removes",
			func(w *world) { holder(w); w.user("p", `"id":"a"`); w.user("p", `"id":"b"`) },
			func(w *world) []*actor { return []*actor{adder(w, "a"), adder(w, "b"), remover(w, "old")} },
			[]string{"add-a done, add-b refused, remove-old done", "add-a refused, add-b done, remove-old done"},
			unbounded, 0,
		},
		{
			"the same user removes and adds, another creates", holder,
			func(w *world) []*actor { return []*actor{remover(w, "old"), adder(w, "old"), creator(w, "a")} },
			[]string{
				"remove-old done, add-old done, create-a refused",
				"remove-old done, add-old refused, create-a done",
			},
			3, 0,
		},
		{
			"one id is deleted and created again, another wants its name", holder,
			func(w *world) []*actor { return []*actor{deleter(w, "old"), creator(w, "old"), creator(w, "a")} },
			[]string{"delete-old done, create-old done, create-a refused", "delete-old done, create-old refused, create-a done"},
			4, 0,
		},
		{
			"an address is verified, a user is created, a holder goes",
			func(w *world) {
				holder(w)
				w.user("p", `"id":"a","verifiable_addresses":[{"type":"email","address":"`+disputed+`","verified":false}]`)
			},
			func(w *world) []*actor { return []*actor{verifier(w, "a"), creator(w, "b"), deleter(w, "old")} },
			[]string{"verify-a done, create-b refused, delete-old done", "verify-a refused, create-b done, delete-old done"},
			unbounded, 0,
		},
		{
			"two registrations of a free name", func(*world) {},
			func(w *world) []*actor { return []*actor{registrar(w, "a"), registrar(w, "b")} },
			[]string{"register-a done, register-b done", "register-a done, register-b refused", "register-a refused, register-b done"},
			unbounded, 0,
		},
		{
			"a registration again and an activation", registered,
			func(w *world) []*actor { return []*actor{registrar(w, "a"), activator(w, "b")} },
			[]string{"register-a done, activate-b done", "register-a refused, activate-b done"},
			unbounded, 0,
		},
		{
			"a registration and the activation of another with its address", other,
			func(w *world) []*actor { return []*actor{registrar(w, "a"), activator(w, "b")} },
			[]string{"register-a done, activate-b refused", "register-a refused, activate-b done"},
			unbounded, 0,
		},
		{
			"a registration and a creation by an administrator", func(*world) {},
			func(w *world) []*actor { return []*actor{registrar(w, "a"), creator(w, "b")} },
			[]string{"register-a done, create-b refused", "register-a refused, create-b done"},
			unbounded, 0,
		},
	}
}

// TestNoOneInTheWay lets two writers of one user meet that want different names:
// both must get theirs in every order.
func TestNoOneInTheWay(t *testing.T) {
	t.Parallel()
	e := explorerOf(t, scenario{
		before: func(w *world) { w.user("p", `"id":"old"`) },
		actors: func(w *world) []*actor { return []*actor{adder(w, "old"), adderOf(w, "old", "other@example.com")} },
	})
	e.budget = budget{0, 0, unbounded}
	e.explore()
	if len(e.ends) != 1 || e.ends["add-old done, add-old done"] == 0 {
		t.Errorf("it ends with %v", e.ends)
	}
}

// TestInterleavings runs the scenarios in every order of their steps without
// faults; and, in every order with few switches between actors, with leases that
// run out at any point, and with one step anywhere lost, done without an answer,
// or the last that its actor ever makes. make fault allows one switch more.
func TestInterleavings(t *testing.T) {
	t.Parallel()
	more := 0
	if os.Getenv("GATEPOST_FAULT_ROUNDS") != "" {
		more = 1
	}
	for _, sc := range scenarios() {
		for _, tc := range []struct {
			name   string
			budget budget
		}{
			{"orders", budget{0, 0, sc.orders * (1 + more)}},
			{"lapses", budget{0, 1, 1 + more}},
			{"faults", budget{1, 0, 1 + more}},
			{"faults and lapses", budget{1, 1, sc.faults + more}},
		} {
			t.Run(sc.name+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				e := explorerOf(t, sc)
				e.budget = tc.budget
				e.explore()
				t.Logf("%d runs, %d states", e.runs, len(e.known))
				for _, want := range sc.ends {
					if e.ends[want] == 0 {
						t.Errorf("no order ends with %q, only with %q", want, slices.Sorted(maps.Keys(e.ends)))
					}
				}
			})
		}
	}
}

func explorerOf(t *testing.T, sc scenario) *explorer {
	t.Helper()
	s := &stage{cells: map[string]cell{}, now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)}
	w := open(t, func(_ *world, c *pool.Config, d *store.Driver) {
		_ = (*d).Close()
		*d, c.Now = s, s.clock
		c.Audit, c.Changed = nil, nil
	})
	w.pool("p", nil)
	sc.before(w)
	return &explorer{
		t: t, stage: s, actors: func() []*actor { return sc.actors(w) },
		always: func() error {
			if ids := s.listing(t, disputed); len(ids) > 1 {
				return fmt.Errorf("users %v have the same name", ids)
			}
			return nil
		},
		finally: func(all []*actor) error { return aftermath(t, w, s, all) },
	}
}

// aftermath checks what is left when everybody has ended and the leases are over.
func aftermath(t testing.TB, w *world, s *stage, all []*actor) error {
	s.now = s.now.Add(61 * time.Second)
	var owner string
	if ids := s.listing(t, disputed); len(ids) > 0 {
		owner = ids[0]
	}
	for _, a := range all {
		if err := a.fair(w, owner); err != nil {
			return err
		}
	}
	found, err := w.Users.ByIdentifier(t.Context(), tenantID, "p", disputed)
	if owner != "" && len(found.Identifiers) == 0 { // the owner may have it as an address
		found, err = w.Users.ByAddress(t.Context(), tenantID, "p", disputed)
	}
	if owner != "" && (err != nil || found.ID != owner) {
		return fmt.Errorf("user %q has the name and is not found by it: %q, %w", owner, found.ID, err)
	}
	if owner == "" && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("nobody has the name, and it finds %q, %w", found.ID, err)
	}
	late := creator(w, "late")
	err = late.do(t.Context())
	if owner == "" && err != nil {
		return fmt.Errorf("nobody has the name, and it cannot be taken: %w", err)
	}
	if owner != "" && !fault.Is(err, fault.Conflict) {
		return fmt.Errorf("user %q has the name, and another user takes it: %w", owner, err)
	}
	if ids := s.listing(t, disputed); len(ids) != 1 {
		return fmt.Errorf("in the end %v have the name", ids)
	}
	return nil
}

// fair checks that the answer an actor got is true.
func (a *actor) fair(w *world, owner string) error {
	if a.stopped {
		return nil
	}
	var verb, id string
	if _, err := fmt.Sscanf(a.name, "%6s", &verb); err != nil {
		return err
	}
	for i := range a.name {
		if a.name[i] == '-' {
			verb, id = a.name[:i], a.name[i+1:]
		}
	}
	u, err := w.Users.Get(w.t.Context(), tenantID, "p", id)
	lists := err == nil && len(u.Identifiers)+len(u.Addresses) > 0
	switch {
	case verb == "create" && a.err == nil && id != "old" && owner != id:
		return fmt.Errorf("the creation of %q was acknowledged, and %q has the name", id, owner)
	case verb == "create" && a.definite() && id != "old" && err == nil:
		return fmt.Errorf("the creation of %q was refused, and it is there", id)
	case (verb == "add" || verb == "verify") && a.err == nil && id != "old" && owner != id:
		return fmt.Errorf("%q got the name, and %q has it", id, owner)
	case verb == "register" && a.err == nil && owner == "":
		return fmt.Errorf("the registration of %q was acknowledged, and nobody has the name", id)
	case verb == "activate" && a.err == nil && owner != w.registered:
		return fmt.Errorf("%q was activated, and %q has its name", w.registered, owner)
	case verb == "add" && a.definite() && id != "old" && lists:
		return fmt.Errorf("%q was refused the name, and has it", id)
	}
	return nil
}
