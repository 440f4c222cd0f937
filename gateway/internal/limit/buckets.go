package limit

import (
	"container/list"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// BucketsConfig sets the size of each bucket and their number. Zero fields have
// the defaults.
type BucketsConfig struct {
	Rate  float64 // tokens a second; 1
	Burst int     // tokens in a full bucket; 10
	Size  int     // buckets kept; 10 000. The least recently used goes first
	Now   func() time.Time
}

// Buckets are token buckets by key, in this process alone. A key that is not
// kept has a full bucket, and one that was used longest ago has most likely
// filled again, so the bound costs little strictness. Safe for concurrent use.
type Buckets struct {
	config BucketsConfig
	token  time.Duration // to gain one

	mu     sync.Mutex
	recent *list.List // of *bucket, the last used in front
	byKey  map[string]*list.Element
}

type bucket struct {
	key   string
	token time.Duration // as of the last take
	full  time.Time     // when it will be full again; past: it is
}

var errBucket = errors.New("bucket: empty")

// NewBuckets returns full buckets for every key.
func NewBuckets(c BucketsConfig) *Buckets {
	if c.Rate <= 0 {
		c.Rate = 1
	}
	if c.Burst <= 0 {
		c.Burst = 10
	}
	if c.Size <= 0 {
		c.Size = 10_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	token := max(time.Duration(float64(time.Second)/c.Rate), 1)
	return &Buckets{config: c, token: token, recent: list.New(), byKey: map[string]*list.Element{}}
}

// Take takes one token from key's bucket. When it is empty the error is a
// fault.TooMany whose RetryAfter is the time until the next token.
func (b *Buckets) Take(key string) error { return b.take(key, b.token, b.config.Burst) }

// take is Take from a bucket of another size: one that gains a token in every
// token's time, and holds burst. A bucket that gains faster or slower than before
// is full.
func (b *Buckets) take(key string, token time.Duration, burst int) error {
	now := b.config.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.bucket(key)
	empty := now.Add(time.Duration(burst) * token) // the most, also when the clock was put back
	switch {
	case k.full.Before(now) || k.token != token:
		k.token, k.full = token, now
	case k.full.After(empty):
		k.full = empty
	}
	next := k.full.Add(token)
	if wait := next.Sub(empty); wait > 0 {
		return &fault.Error{Kind: fault.TooMany, Public: tooMany, RetryAfter: wait, Cause: errBucket}
	}
	k.full = next
	return nil
}

// Len returns how many buckets are kept.
func (b *Buckets) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.recent.Len()
}

func (b *Buckets) bucket(key string) *bucket {
	if e, ok := b.byKey[key]; ok {
		b.recent.MoveToFront(e)
		return value(e)
	}
	var e *list.Element
	if b.recent.Len() < b.config.Size {
		e = b.recent.PushFront(&bucket{})
	} else {
		e = b.recent.Back()
		delete(b.byKey, value(e).key)
		b.recent.MoveToFront(e)
	}
	k := value(e)
	*k = bucket{key: key}
	b.byKey[key] = e
	return k
}

func value(e *list.Element) *bucket {
	k, _ := e.Value.(*bucket) // nothing else is put in
	return k
}

// Network returns the key of the network that an address counts for: IPv4
// addresses singly, IPv6 by /56, which one subscriber commonly has as a whole (RFC
// 6177).
// An invalid address counts for one network of its own.
func Network(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() || !addr.IsValid() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, 56).Masked().String()
}
