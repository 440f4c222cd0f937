package limit

import (
	"context"
	"errors"
)

// Refund gives back the try that Take has counted for the context's origin, its
// own and that of all together: what was tried was right, and so no guess. Unlike
// Clear it leaves earlier tries counted, so that who has something right of their
// own cannot guess for ever between two of it.
func (g *Guard) Refund(ctx context.Context, tenant, kind, who string) error {
	source, known := OriginOf(ctx).source(who)
	err := g.undo(ctx, tenant, guardID(kind, who, source))
	if known {
		return err
	}
	return errors.Join(err, g.undo(ctx, tenant, guardID(kind, who, "")))
}
