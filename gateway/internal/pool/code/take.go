package code

import (
	"context"
	"errors"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// maxLive is how many codes of one user a look-up without a type or an address
// goes through.
const maxLive = 64

// Take takes a code away and returns what it was: of callers that come together
// exactly one gets it. The try is counted first, under a kind of package limit
// for the user and the origin of the context; a success clears that count. address
// chooses among the codes of VerifyAddress, where empty means any of them; a code
// of another type that was made for an address is not good for another one. What
// was typed may hold blanks and dashes. Errors: ErrWrong, or the guard's.
func (k *Keeper) Take(ctx context.Context, kind string, s Subject, t Type, address, code string) (Code, error) {
	return k.attempt(ctx, kind, s, address, func() (Code, error) {
		row, err := k.match(ctx, s, t, address, code)
		if err != nil {
			return Code{}, err
		}
		c := open(&row)
		return c, k.Spend(ctx, c)
	})
}

// Spend takes away a code that Peek or Find has found right. Nothing is guessed
// any more, so it counts as no try. Of callers that come together exactly one gets
// nil, the others ErrWrong; so do those whose code a newer one has killed.
func (k *Keeper) Spend(ctx context.Context, c Code) error {
	err := k.table.DeleteIf(ctx, c.Tenant, c.row, c.rev)
	if errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound) {
		return ErrWrong
	}
	return wrap(err)
}

// Live tells whether a code that Peek or Find has found is still there.
func (k *Keeper) Live(ctx context.Context, c Code) (bool, error) {
	row, err := k.table.Get(ctx, c.Tenant, c.row)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && row.Rev == c.rev, wrap(err)
}

// Peek is Take but leaves the code where it is.
func (k *Keeper) Peek(ctx context.Context, kind string, s Subject, t Type, address, code string) (Code, error) {
	return k.attempt(ctx, kind, s, address, func() (Code, error) {
		row, err := k.match(ctx, s, t, address, code)
		if err != nil {
			return Code{}, err
		}
		return open(&row), nil
	})
}

// Find is Peek for a code whose type is not known.
func (k *Keeper) Find(ctx context.Context, kind string, s Subject, code string) (Code, error) {
	return k.Peek(ctx, kind, s, "", "", code)
}

// attempt counts, runs, and forgets the count after a success.
func (k *Keeper) attempt(ctx context.Context, kind string, s Subject, address string, run func() (Code, error)) (Code, error) {
	who := s.who(address)
	if err := k.config.Guard.Take(ctx, s.Tenant, kind, who); err != nil {
		return Code{}, err
	}
	c, err := run()
	if err != nil {
		return Code{}, err
	}
	// The code was right, and may be gone: that counting failed must not lose it.
	_ = k.config.Guard.Clear(ctx, s.Tenant, kind, who)
	return c, nil
}

// match returns the live record that a typed code is for, else ErrWrong. It does
// the same for nobody, who has no records.
func (k *Keeper) match(ctx context.Context, s Subject, t Type, address, typed string) (store.Row[Record], error) {
	rows, err := k.live(ctx, s, t, address)
	if err != nil {
		return store.Row[Record]{}, err
	}
	digits := normal(typed)
	if len(rows) == 0 { // compare all the same
		none := Record{Pool: s.Pool, User: Nobody, Type: t, Address: address}
		k.config.Ring.CheckMAC(make([]byte, 32), purpose, parts(s.Tenant, &none, digits)...)
		return store.Row[Record]{}, ErrWrong
	}
	for _, row := range rows {
		r := &row.Value
		right := k.config.Ring.CheckMAC(r.Hash, purpose, parts(s.Tenant, r, digits)...)
		if right && digits != "" && r.UserEpoch == s.UserEpoch && r.fits(address) && k.config.Now().Before(r.Expires) {
			return row, nil
		}
	}
	return store.Row[Record]{}, ErrWrong
}

// fits tells whether a code may be taken for an address.
func (r *Record) fits(address string) bool {
	return address == "" || r.Address == "" || r.Address == address
}

// live reads the records that a code of this type and address may be of.
func (k *Keeper) live(ctx context.Context, s Subject, t Type, address string) ([]store.Row[Record], error) {
	r := Record{PoolEpoch: s.PoolEpoch, User: s.User, Type: t, Address: address}
	if s.nobody() {
		r.User = Nobody
	}
	prefix := store.Prefix(r.PoolEpoch, r.User)
	switch {
	case t == VerifyAddress && address == "":
		prefix = store.Prefix(r.PoolEpoch, r.User, string(t))
	case t != "":
		row, err := k.table.Get(ctx, s.Tenant, r.key())
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		return []store.Row[Record]{row}, wrap(err)
	}
	rows, err := k.table.Range(ctx, s.Tenant, prefix, store.Page{Limit: maxLive})
	return rows, wrap(err)
}

// open is the record as callers get it.
func open(row *store.Row[Record]) Code {
	r := &row.Value
	return Code{
		Subject: Subject{Tenant: row.Tenant, Pool: r.Pool, PoolEpoch: r.PoolEpoch, User: r.User, UserEpoch: r.UserEpoch},
		ID:      r.ID, Type: r.Type, Address: r.Address, Metadata: r.Metadata, Data: r.Data, Made: r.Made, Expires: r.Expires,
		row: row.ID, rev: row.Rev,
	}
}
