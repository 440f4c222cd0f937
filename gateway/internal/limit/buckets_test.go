package limit_test

import (
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

func newClock() *storetest.Clock {
	return storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	clock := newClock()
	b := limit.NewBuckets(limit.BucketsConfig{Rate: 2, Burst: 3, Now: clock.Now})
	take := func(key string, times int) {
		t.Helper()
		for i := range times {
			if err := b.Take(key); err != nil {
				t.Fatalf("take %d of %d for %s: %v", i+1, times, key, err)
			}
		}
	}
	refused := func(key string, after time.Duration) {
		t.Helper()
		err := b.Take(key)
		if !fault.Is(err, fault.TooMany) || fault.Read(err).RetryAfter != after {
			t.Fatalf("Take(%s) = %v, want fault.TooMany after %v", key, err, after)
		}
	}
	take("a", 3)
	refused("a", 500*time.Millisecond)
	take("b", 3) // not a's business
	clock.Advance(400 * time.Millisecond)
	refused("a", 100*time.Millisecond)
	clock.Advance(100 * time.Millisecond)
	take("a", 1)
	refused("a", 500*time.Millisecond) // refusals cost nothing
	clock.Advance(time.Hour)
	take("a", 3) // never more than a full bucket
	refused("a", 500*time.Millisecond)
	clock.Advance(-time.Hour) // the clock was put back
	refused("a", 500*time.Millisecond)
	clock.Advance(time.Hour + time.Second)
	take("a", 2)
}

func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	clock := newClock()
	b := limit.NewBuckets(limit.BucketsConfig{Burst: 1, Size: 100, Now: clock.Now})
	for i := range 10_000 {
		if err := b.Take("victim"); (err == nil) != (i == 0) {
			t.Fatalf("round %d: Take(victim) = %v: the flood of other keys reset a bucket in use", i, err)
		}
		if err := b.Take(strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.Len(); n != 100 {
		t.Errorf("%d buckets are kept, want 100", n)
	}
}

func TestBucketsTogether(t *testing.T) {
	t.Parallel()
	clock := newClock()
	b := limit.NewBuckets(limit.BucketsConfig{Burst: 500, Now: clock.Now})
	var got atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if b.Take("a") == nil {
					got.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got.Load() != 500 {
		t.Errorf("%d tokens were given out, want 500", got.Load())
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7",
		"::ffff:192.0.2.7":     "192.0.2.7",
		"2001:db8:1:2:3::4":    "2001:db8:1::/56",
		"2001:db8:1:ff:ffff::": "2001:db8:1::/56",
		"fe80::1%eth0":         "fe80::/56",
	} {
		if got := limit.Network(netip.MustParseAddr(in)); got != want {
			t.Errorf("Network(%s) = %s, want %s", in, got, want)
		}
	}
	if got := limit.Network(netip.Addr{}); got != "invalid IP" {
		t.Errorf("Network of no address = %q", got)
	}
}

func BenchmarkBuckets(b *testing.B) {
	buckets := limit.NewBuckets(limit.BucketsConfig{})
	keys := make([]string, 20_000) // every second one is new
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	var n atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = buckets.Take(keys[int(n.Add(1))%len(keys)])
		}
	})
}
