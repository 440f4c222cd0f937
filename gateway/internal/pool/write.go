package pool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// writing says how a user is written.
type writing struct {
	rev     int64  // the revision the caller has seen, or 0
	ends    bool   // what the user is signed in to, and what forgets ends
	forgets bool   // the browsers that need no second factor
	details string // for the event
	subject string // of the event; empty: audit.SubjectUser
	action  string // of the event; empty: audit.ActionUpdated
	// spend is nil, or called once, when nothing can refuse any more, before the
	// write.
	spend func(context.Context) error
}

// change is the common way of writing a user. A write that ends sign-ins is
// announced before it, so that no gateway goes on with them when this one stops
// half-way, and after it, for those that began in between.
func (k *Users) change(ctx context.Context, tenant, pool, user string, w writing, alter func(*Pool, *User, time.Time) error) (User, error) {
	p, u, err := k.load(ctx, tenant, pool, user)
	if err == nil && w.rev != 0 && u.Rev != w.rev {
		err = userFault(store.ErrStale)
	}
	if err != nil {
		return User{}, err
	}
	if err := k.prepare(ctx, &p, &u, w, alter); err != nil {
		return User{}, err
	}
	var tried User
	row, err := k.records.update(ctx, at(&p, user), w.rev, func(u *User) error {
		now := k.config.Now().UTC()
		if err := alter(&p, u, now); err != nil {
			return err
		}
		u.UpdatedAt = now
		tried = *u
		return nil
	})
	if err != nil {
		return User{}, taken(err, &tried)
	}
	u = loaded(row)
	if err := k.finish(ctx, &u, w); err != nil {
		return u, err
	}
	if err := k.config.changed(ctx, changes.KindUser, tenant, pool+"/"+user); err != nil {
		return u, err
	}
	u = k.adopt(ctx, &p, u)
	return u, k.event(ctx, &p, &u, orElse(w.subject, audit.SubjectUser), orElse(w.action, audit.ActionUpdated), w.details)
}

// prepare does what comes before a write: what the write would end must not end
// for one that will be refused anyway.
func (k *Users) prepare(ctx context.Context, p *Pool, u *User, w writing, alter func(*Pool, *User, time.Time) error) error {
	if !w.ends && !w.forgets && w.spend == nil {
		return nil
	}
	next := u.clone()
	if err := alter(p, &next, k.config.Now().UTC()); err != nil {
		return err
	}
	if w.spend != nil {
		if err := k.contested(ctx, p, u, &next); err != nil {
			return err
		}
		if err := w.spend(ctx); err != nil {
			return err
		}
	}
	return k.finish(ctx, u, w)
}

// finish ends what a write ends.
func (k *Users) finish(ctx context.Context, u *User, w writing) error {
	if w.ends {
		if err := k.config.revoke(ctx, u.TenantID, u.PoolID, u.ID); err != nil {
			return err
		}
	}
	if w.ends || w.forgets {
		return k.mfa.EndAll(ctx, u)
	}
	return nil
}

// contested reports Conflict when somebody else has a name that next has and u
// has not. Claims decide in the end; this is for knowing it early.
func (k *Users) contested(ctx context.Context, p *Pool, u, next *User) error {
	for _, n := range without(next.names(), u.names()) {
		other, err := k.holder(ctx, p, n)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case other.ID != u.ID:
			return taken(&takenError{n}, next)
		}
	}
	return nil
}

// holder returns the user that has a name, whatever it is to them, or
// store.ErrNotFound.
func (k *Users) holder(ctx context.Context, p *Pool, n name) (User, error) {
	row, err := k.records.find(ctx, p.TenantID, p.Epoch, n)
	if err != nil {
		return User{}, err
	}
	if !slices.Contains(row.Value.names(), n) {
		return User{}, store.ErrNotFound
	}
	return loaded(row), nil
}

// Delete removes a user at revision rev, or whatever it is when rev is 0, and
// ends what they are signed in to.
func (k *Users) Delete(ctx context.Context, tenant, pool, user string, rev int64) error {
	p, u, err := k.load(ctx, tenant, pool, user)
	if err == nil && rev != 0 && u.Rev != rev {
		err = userFault(store.ErrStale)
	}
	if err != nil {
		return err
	}
	w := writing{ends: true}
	if err := k.finish(ctx, &u, w); err != nil {
		return err
	}
	if _, err := k.records.remove(ctx, at(&p, user), rev, func(*User) error { return nil }); err != nil {
		return userFault(err)
	}
	if err := k.finish(ctx, &u, w); err != nil {
		return err
	}
	if err := k.config.changed(ctx, changes.KindUser, tenant, pool+"/"+user); err != nil {
		return err
	}
	return errors.Join(k.groups.forget(ctx, &p, &u), k.event(ctx, &p, &u, audit.SubjectUser, audit.ActionDeleted, ""))
}

// event records what happened to a user. It names who it is, not what is known
// of them: events outlive people.
func (k *Users) event(ctx context.Context, p *Pool, u *User, subject, action, details string) error {
	payload := map[string]any{"user_id": u.ID}
	if subject == audit.SubjectUser {
		payload["status"] = u.Status
	}
	if details != "" {
		payload["update_details"] = details
	}
	return k.config.record(ctx, p.TenantID, p, u.ID, subject, action, payload)
}
