package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

func memory(t *testing.T) *Driver {
	t.Helper()
	d, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := d.Ensure(t.Context(), "items", []string{"x"}); err != nil {
		t.Fatal(err)
	}
	return d
}

// hold keeps the writer busy until the returned function is called.
func hold(t *testing.T, d *Driver) func() {
	t.Helper()
	inside, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- d.write(context.WithoutCancel(t.Context()), 1, func(*bbolt.Tx) (bool, error) {
			close(inside)
			<-release
			return true, nil
		})
	}()
	<-inside
	return func() {
		t.Helper()
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestIdleWritesWriteNothing: what leaves the records as they are costs no
// transaction on the disk, be it a lost race, a sweep or a known table.
func TestIdleWritesWriteNothing(t *testing.T) {
	t.Parallel()
	d, now, rec := memory(t), time.Now(), record("a")
	begin := transactions(t, d)
	if err := d.Insert(t.Context(), "items", []store.Record{rec}, now)[0]; err != nil {
		t.Fatal(err)
	}
	before := transactions(t, d)
	if before != begin+1 {
		t.Fatalf("one record took %d commits", before-begin)
	}
	if err := d.Insert(t.Context(), "items", []store.Record{rec}, now)[0]; !errors.Is(err, store.ErrExists) {
		t.Errorf("insert: %v", err)
	}
	if err := d.Replace(t.Context(), "items", rec, 7, now); !errors.Is(err, store.ErrStale) {
		t.Errorf("replace: %v", err)
	}
	if err := d.Delete(t.Context(), "items", "t", "b", 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("delete: %v", err)
	}
	if n, err := d.Sweep(t.Context(), "items", now, 10); n != 0 || err != nil {
		t.Errorf("sweep: %d, %v", n, err)
	}
	if err := d.Ensure(t.Context(), "items", []string{"x"}); err != nil {
		t.Errorf("ensure: %v", err)
	}
	if after := transactions(t, d); after != before {
		t.Errorf("%d commits wrote nothing", after-before)
	}
	if err := d.Ensure(t.Context(), "items", []string{"x", "y"}); err != nil || transactions(t, d) != before+1 {
		t.Errorf("a new index: %v, %d commits", err, transactions(t, d)-before)
	}
}

// queued waits until n writes are in the queue.
func queued(d *Driver, n int) {
	for {
		d.mu.Lock()
		have := len(d.queue)
		d.mu.Unlock()
		if have >= n {
			return
		}
		runtime.Gosched()
	}
}

func record(id string) store.Record {
	return store.Record{Tenant: "t", ID: id, Rev: 1, Version: 1, Value: &struct{}{}}
}

// transactions returns the number of the last transaction.
func transactions(t *testing.T, d *Driver) int {
	t.Helper()
	var n int
	if err := d.db.View(func(tx *bbolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestGroupCommit wants what was queued together to be one transaction, with an
// outcome for each, and reads to go on meanwhile.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	d := memory(t)
	if err := d.Insert(t.Context(), "items", []store.Record{record("there")}, time.Now())[0]; err != nil {
		t.Fatal(err)
	}
	before := transactions(t, d)
	release := hold(t, d)
	ids := []string{"a", "there", "b", "a", "c"}
	errs := make(chan error, len(ids))
	for i, id := range ids {
		go func() { errs <- d.Insert(t.Context(), "items", []store.Record{record(id)}, time.Now())[0] }()
		queued(d, i+1)
	}
	if _, err := d.Get(t.Context(), "items", "t", "there", time.Now()); err != nil {
		t.Errorf("get beside a busy writer: %v", err)
	}
	if _, err := d.Get(t.Context(), "items", "t", "a", time.Now()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get of what is not written yet: %v", err)
	}
	release()
	exists := 0
	for range ids {
		if err := <-errs; errors.Is(err, store.ErrExists) {
			exists++
		} else if err != nil {
			t.Error(err)
		}
	}
	if exists != 2 {
		t.Errorf("%d writes found their id taken, want 2", exists)
	}
	if used := transactions(t, d) - before; used != 2 { // the held one and one for the rest
		t.Errorf("%d transactions, want 2", used)
	}
}

// TestBadWriteFailsAlone puts writes that cannot be applied, by error or panic,
// among others: only they fail.
func TestBadWriteFailsAlone(t *testing.T) {
	t.Parallel()
	d := memory(t)
	release := hold(t, d)
	const n = 40
	errs := make([]chan error, n)
	bad := func(i int) bool { return i == 0 || i == 7 || i == 8 || i == 39 }
	for i := range n {
		errs[i] = make(chan error, 1)
		apply := func(*bbolt.Tx) (bool, error) { return true, errors.New("no room") }
		if i == 7 {
			apply = func(*bbolt.Tx) (bool, error) { panic("damaged page") }
		}
		go func() {
			if bad(i) {
				errs[i] <- d.write(t.Context(), 1, apply)
				return
			}
			errs[i] <- d.Insert(t.Context(), "items", []store.Record{record(fmt.Sprint(i))}, time.Now())[0]
		}()
		queued(d, i+1)
	}
	release()
	for i := range n {
		err := <-errs[i]
		if bad(i) != errors.Is(err, store.ErrUnavailable) {
			t.Errorf("write %d: %v", i, err)
		}
		_, err = d.Get(t.Context(), "items", "t", fmt.Sprint(i), time.Now())
		if bad(i) != errors.Is(err, store.ErrNotFound) {
			t.Errorf("get %d: %v", i, err)
		}
	}
}

// TestLostPatience wants a write whose context ends in the queue to leave no
// trace, and one whose context ends later to tell its own outcome.
func TestLostPatience(t *testing.T) {
	t.Parallel()
	d := memory(t)
	release := hold(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- d.Insert(ctx, "items", []store.Record{record("left")}, time.Now())[0] }()
	queued(d, 1)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("abandoned write: %v", err)
	}
	release()

	ctx, cancel = context.WithCancel(t.Context())
	err := d.write(ctx, 1, func(*bbolt.Tx) (bool, error) { cancel(); return true, nil })
	if err != nil {
		t.Errorf("write whose context ended while it was applied: %v", err)
	}
	if _, err := d.Get(t.Context(), "items", "t", "left", time.Now()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get of the abandoned one: %v", err)
	}
}

// TestCloseAnswersQueue wants what was queued before Close to be written.
func TestCloseAnswersQueue(t *testing.T) {
	t.Parallel()
	d := memory(t)
	release := hold(t, d)
	const n = 20
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- d.Insert(t.Context(), "items", []store.Record{record(fmt.Sprint(i))}, time.Now())[0] }()
	}
	queued(d, n)
	closed := make(chan error, 1)
	go func() { closed <- d.Close() }()
	for d.Ping(t.Context()) == nil {
		runtime.Gosched()
	}
	release()
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestDiskError wants no write acknowledged after the disk has reported an
// error, because it is not known what the disk holds.
func TestDiskError(t *testing.T) {
	t.Parallel()
	d := memory(t)
	err := d.write(t.Context(), 1, func(*bbolt.Tx) (bool, error) { return true, fmt.Errorf("sync: %w", syscall.EIO) })
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("write: %v", err)
	}
	err = d.Insert(t.Context(), "items", []store.Record{record("a")}, time.Now())[0]
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "restart") {
		t.Errorf("next write: %v", err)
	}
	if err := d.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("ping: %v", err)
	}
	if _, err := d.Get(t.Context(), "items", "t", "a", time.Now()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("reads go on: %v", err)
	}
}

func TestDamagedRow(t *testing.T) {
	t.Parallel()
	good, err := encode(store.Record{Tenant: "t", ID: "a", Rev: 1, Version: 1, Keys: map[string]store.Key{"x": {Equal: "e", Order: "o"}}, Value: new(int)})
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(good.bytes) {
		r, err := parse(good.bytes[:n])
		if err == nil {
			_, err = r.index()
		}
		if err == nil && len(r.json) > 0 {
			t.Errorf("the first %d bytes read as a row", n)
		}
	}
	d := memory(t)
	err = d.write(t.Context(), 1, func(tx *bbolt.Tx) (bool, error) {
		return true, tx.Bucket([]byte("rows/items")).Put(rowKey("t", "bad"), []byte{9})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(t.Context(), "items", "t", "bad", time.Now()); !errors.Is(err, errRow) {
		t.Errorf("get: %v", err)
	}
	if _, err := d.Scan(t.Context(), "items", store.Scan{Tenant: "t", Limit: 1}); !errors.Is(err, errRow) {
		t.Errorf("scan: %v", err)
	}
}

// FuzzKeys wants keys to sort as their parts do and to be read back.
func FuzzKeys(f *testing.F) {
	for _, s := range []string{"", "a", "\x00", "\x00\x01", "a\x00", "\xff", "\x00\xff", "a\x00\x01b"} {
		f.Add(s, "b", "a", s)
	}
	f.Fuzz(func(t *testing.T, a1, a2, b1, b2 string) {
		a, b := append(component(nil, a1), a2...), append(component(nil, b1), b2...)
		if got, want := bytes.Compare(a, b), slices.Compare([]string{a1, a2}, []string{b1, b2}); got != want {
			t.Errorf("(%q, %q) against (%q, %q): %d, want %d", a1, a2, b1, b2, got, want)
		}
		first, rest, err := split(a)
		if err != nil || first != a1 || string(rest) != a2 {
			t.Errorf("(%q, %q) was read as (%q, %q), %v", a1, a2, first, rest, err)
		}
		if next := after(a); next != nil && (bytes.Compare(next, a) <= 0 || bytes.HasPrefix(next, a)) {
			t.Errorf("after %q comes %q", a, next)
		}
		if _, _, err := split([]byte(a1)); err == nil && !strings.Contains(a1, "\x00\x01") {
			t.Errorf("%q was read as a component", a1)
		}
	})
}

func TestTimeKeys(t *testing.T) {
	t.Parallel()
	times := []time.Time{{}, time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), time.Unix(-1, 0), time.Unix(0, 0), time.Unix(0, 1e6), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	var last []byte
	for _, at := range times[1:] {
		key := timeKey(millis(at), []byte("x"))
		if bytes.Compare(last, key) >= 0 {
			t.Errorf("key of %v is not after the one before", at)
		}
		last = key
		ms, rest, err := splitTime(key)
		if err != nil || !timeOf(ms).Equal(at) || string(rest) != "x" {
			t.Errorf("%v was read as %v, %q, %v", at, timeOf(ms), rest, err)
		}
	}
	if millis(times[0]) != never || !timeOf(never).IsZero() {
		t.Error("the zero time is never")
	}
}
