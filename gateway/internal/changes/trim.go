package changes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// trimmer removes old slots now and then.
func (l *Log) trimmer(ctx context.Context) {
	tick := time.NewTicker(max(l.config.Retention/24, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := l.Trim(ctx); err != nil && ctx.Err() == nil {
			l.config.Log.Warn("old slots of the change log were not removed", "err", err)
		}
	}
}

// Trim removes slots older than Retention from the front of the log and returns
// how many. The last slot stays, whatever its age: it holds the number that the
// next one follows. Several gateways may trim at once. Run calls it.
func (l *Log) Trim(ctx context.Context) (int, error) {
	cutoff := l.config.Now().Add(-l.config.Retention)
	gone := 0
	for {
		rows, err := l.table.Range(ctx, tenant, "", store.Page{Limit: batch})
		if err != nil {
			return gone, fmt.Errorf("trim the change log: %w", err)
		}
		for i, row := range rows {
			if !row.Value.At.Before(cutoff) {
				return gone, nil
			}
			if i == len(rows)-1 {
				break // perhaps the last of all
			}
			err := l.table.Delete(ctx, tenant, row.ID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return gone, fmt.Errorf("trim the change log: %w", err)
			}
			gone++
		}
		if len(rows) < batch {
			return gone, nil
		}
	}
}
