package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Config says where the file is.
type Config struct {
	// Path of the file, made with mode 0600 when it does not exist; its directory
	// must. Empty: memory mode, nothing outlives Close.
	Path string
	// MaxSize is the most bytes that the file may grow to; 0: no limit. Writes
	// beyond it fail with store.ErrUnavailable, reads go on.
	MaxSize int64
}

// Driver is an open file. It is safe for concurrent use.
type Driver struct {
	db     *bbolt.DB
	name   string
	remove string // a file to remove on Close

	tables sync.Map // name -> *table, after Ensure

	stop    sync.Once
	stopped chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	arrived *sync.Cond // on mu: the queue has grown or the driver is closing
	queue   []*op
	closed  bool
	broken  error // set when the disk has reported an error
}

var _ store.Driver = (*Driver)(nil)

var errClosed = fmt.Errorf("%w: it is closed", store.ErrUnavailable)

// The file's own record of its format, under key "format" of bucket "gatepost".
const (
	about  = "gatepost"
	format = "1"
)

// Address space for the file. Growing beyond it waits for running reads once
// in a while; reserving it costs no memory.
const (
	space       = 1 << 30
	spaceMemory = 64 << 20
)

// Open opens or makes the file and starts the writer. It fails within about a
// second, naming the path, when another process holds the file, when it cannot
// be written, or when it was written by a newer release.
func Open(c Config) (*Driver, error) {
	d := &Driver{name: "embedded " + c.Path, stopped: make(chan struct{})}
	d.arrived = sync.NewCond(&d.mu)
	options := &bbolt.Options{
		Timeout: time.Second, FreelistType: bbolt.FreelistArrayType, NoStatistics: true,
		InitialMmapSize: space, MaxSize: int(c.MaxSize),
	}
	path := c.Path
	if path == "" {
		var err error
		if path, err = scratch(); err != nil {
			return nil, fmt.Errorf("store in memory: %w", err)
		}
		d.name, d.remove = "embedded (in memory)", path
		// Nothing of this file is wanted after a crash, so syncing is only cost.
		options.NoSync, options.NoGrowSync, options.NoFreelistSync = true, true, true
		options.InitialMmapSize = spaceMemory
	}
	db, err := bbolt.Open(path, 0o600, options)
	if err != nil {
		d.discard()
		return nil, explain(path, err)
	}
	d.db = db
	d.discard()
	if err := d.begin(c.Path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go d.run()
	return d, nil
}

// scratch makes an empty file in memory where the system has a place for that.
func scratch() (string, error) {
	for _, dir := range []string{"/dev/shm", ""} {
		f, err := os.CreateTemp(dir, "gatepost-*.db")
		if err == nil {
			return f.Name(), f.Close()
		}
		if dir == "" {
			return "", err
		}
	}
	return "", os.ErrNotExist
}

// discard removes the memory mode's file: at once where the system lets an open
// file lose its name, else on Close.
func (d *Driver) discard() {
	if d.remove != "" && os.Remove(d.remove) == nil {
		d.remove = ""
	}
}

func explain(path string, err error) error {
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return fmt.Errorf("store file %s is in use by another process", path)
	}
	var p *os.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("store file %s: cannot %s: %w", path, p.Op, p.Err)
	}
	return fmt.Errorf("store file %s: %w", path, err)
}

// begin checks the file's format, or writes it into a new file.
func (d *Driver) begin(path string) error {
	made := false
	err := d.db.Update(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(about)); b != nil {
			if is := string(b.Get([]byte("format"))); is != format {
				return fmt.Errorf("it has format %q, this program knows %q: run the newer release", is, format)
			}
			return nil
		}
		if k, _ := tx.Cursor().First(); k != nil {
			return errors.New("it is a bbolt file, but not one of ours")
		}
		made = true
		b, err := tx.CreateBucket([]byte(about))
		if err != nil {
			return err
		}
		return b.Put([]byte("format"), []byte(format))
	})
	if err != nil {
		return explain(path, err)
	}
	if made && path != "" {
		syncDir(filepath.Dir(path))
	}
	return nil
}

// syncDir makes the name of a new file durable. Not every file system can.
func syncDir(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	_ = f.Sync()
	_ = f.Close()
}

// Name describes the file for the log.
func (d *Driver) Name() string { return d.name }

// Ping reports whether the file is open and takes writes.
func (d *Driver) Ping(ctx context.Context) error {
	if err := store.Ended(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	return d.broken
}

// Close ends the writer after what is queued, then closes the file. Every later
// call fails with store.ErrUnavailable. Closing again does nothing.
func (d *Driver) Close() error {
	var err error
	d.stop.Do(func() {
		d.mu.Lock()
		d.closed = true
		d.arrived.Broadcast()
		d.mu.Unlock()
		<-d.stopped
		err = d.db.Close()
		d.discard()
	})
	return err
}

// table holds the names of a table's buckets.
type table struct {
	name              string
	rows, expiry, due []byte
	index             map[string][]byte
}

func newTable(name string, indexes []string) *table {
	t := &table{
		name: name, rows: []byte("rows/" + name), expiry: []byte("expiry/" + name), due: []byte("due/" + name),
		index: map[string][]byte{},
	}
	for _, ix := range indexes {
		t.index[ix] = t.indexName(ix)
	}
	return t
}

func (t *table) indexName(index string) []byte { return []byte("ix/" + t.name + "/" + index) }

// Ensure makes the table's buckets where they are missing.
func (d *Driver) Ensure(ctx context.Context, name string, indexes []string) error {
	t := newTable(name, indexes)
	buckets := [][]byte{t.rows, t.expiry, t.due}
	for _, b := range t.index {
		buckets = append(buckets, b)
	}
	err := d.write(ctx, 1, func(tx *bbolt.Tx) (changed bool, err error) {
		for _, b := range buckets {
			if tx.Bucket(b) != nil {
				continue
			}
			changed = true
			if _, err := tx.CreateBucket(b); err != nil {
				return changed, err
			}
		}
		return changed, nil
	})
	if err == nil {
		d.tables.Store(name, t)
	}
	return err
}

func (d *Driver) table(name string) (*table, error) {
	if t, ok := d.tables.Load(name); ok {
		return t.(*table), nil
	}
	return nil, fmt.Errorf("table %s is not declared", name)
}
