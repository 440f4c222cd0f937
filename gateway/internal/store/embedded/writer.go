package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// most is the largest number of rows in one transaction: larger ones hold up
// everybody who waits for the next.
const most = 2000

// The states of a write. Leaving waiting decides whether the writer or the
// caller who lost patience has it.
const (
	waiting int32 = iota
	taken
	abandoned
)

// apply is what a write does in a transaction. It is called again if that
// transaction had to be undone, and keeps its outcome itself. It tells whether it
// changed anything; its error means that the file could not be changed, and undoes
// the transaction.
type apply func(*bbolt.Tx) (changed bool, err error)

// op is a write in the queue.
type op struct {
	rows  int
	apply apply
	state atomic.Int32
	done  chan error
}

// write queues do and waits for the transaction that holds it. A caller
// whose context ends gets its error if the write has not begun, else the
// write's own outcome.
func (d *Driver) write(ctx context.Context, rows int, do apply) error {
	if err := store.Ended(ctx); err != nil {
		return err
	}
	o := &op{rows: rows, apply: do, done: make(chan error, 1)}
	if err := d.enqueue(o); err != nil {
		return err
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		if o.state.CompareAndSwap(waiting, abandoned) {
			return store.Ended(ctx)
		}
		return <-o.done
	}
}

func (d *Driver) enqueue(o *op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	if d.broken != nil {
		return d.broken
	}
	d.queue = append(d.queue, o)
	d.arrived.Signal()
	return nil
}

// run is the writer. It ends when the driver is closed and the queue is empty.
func (d *Driver) run() {
	defer close(d.stopped)
	for {
		batch := d.next()
		if batch == nil {
			return
		}
		d.commit(batch)
	}
}

// next waits for writes and takes as many as fit into one transaction. It
// returns nil when the driver is closed and nothing is left.
func (d *Driver) next() []*op {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for len(d.queue) == 0 && !d.closed {
			d.arrived.Wait()
		}
		if len(d.queue) == 0 {
			return nil
		}
		var batch []*op
		n, rows := 0, 0
		for _, o := range d.queue {
			if len(batch) > 0 && rows+o.rows > most {
				break
			}
			n++
			if o.state.CompareAndSwap(waiting, taken) {
				batch, rows = append(batch, o), rows+o.rows
			}
		}
		d.queue = slices.Delete(d.queue, 0, n)
		if len(batch) > 0 {
			return batch
		}
	}
}

// commit writes a batch as one transaction and answers its callers. When that
// failed before anything was written, the halves are tried alone, so that a
// write that cannot be applied fails by itself.
func (d *Driver) commit(batch []*op) {
	clean, err := d.transact(batch)
	if err != nil && clean && len(batch) > 1 {
		d.commit(batch[:len(batch)/2])
		d.commit(batch[len(batch)/2:])
		return
	}
	if err != nil {
		err = d.failed(err)
	}
	for _, o := range batch {
		o.done <- err
	}
}

// errIdle undoes a transaction that changes nothing: committing it would write to
// the disk all the same.
var errIdle = errors.New("nothing to commit")

// transact applies all of batch in one transaction. clean tells of a failure
// that nothing was written before it. bbolt panics when it meets a damaged
// page; that must not end the process.
func (d *Driver) transact(batch []*op) (clean bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the store file is damaged: %v", p)
		}
	}()
	clean = true
	err = d.db.Update(func(tx *bbolt.Tx) error {
		idle := true
		for _, o := range batch {
			changed, err := o.apply(tx)
			if err != nil {
				return err
			}
			idle = idle && !changed
		}
		if idle {
			return errIdle
		}
		clean = false
		return nil
	})
	if errors.Is(err, errIdle) {
		return true, nil
	}
	return clean || errors.Is(err, bbolterrors.ErrMaxSizeReached), err
}

// failed describes a failure of the file. After the disk reported an error,
// what it holds is not known until the file is read again, so no later write
// may be acknowledged by this process.
func (d *Driver) failed(err error) error {
	err = fmt.Errorf("%w: write %s: %w", store.ErrUnavailable, d.name, err)
	if errors.Is(err, syscall.EIO) {
		d.mu.Lock()
		d.broken = fmt.Errorf("%w; no more writes before a restart", err)
		d.mu.Unlock()
	}
	return err
}
