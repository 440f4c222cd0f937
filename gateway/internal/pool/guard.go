package pool

import "context"

// try is one guess at a secret of somebody who may be nobody.
type try struct {
	kind  string // of brute force (contract, section 24)
	typed string // how the caller named them
}

// who is what a try counts for; see Guard.
func (t try) who(p *Pool, u *User) string {
	if u.ID == "" {
		return p.ID + "/?" + t.typed
	}
	return p.ID + "/" + u.ID
}

// Guard counts a try before its work; see the interface Guard. TooMany refuses.
func (k *Users) Guard(ctx context.Context, tenant, kind, who string) error {
	if k.config.Guard == nil {
		return nil
	}
	return k.config.Guard.Take(ctx, tenant, kind, who)
}

// clear forgets tries after a success.
func (k *Users) clear(ctx context.Context, tenant, kind, who string) error {
	if k.config.Guard == nil {
		return nil
	}
	return k.config.Guard.Clear(ctx, tenant, kind, who)
}
