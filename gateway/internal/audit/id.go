package audit

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"time"
)

// ids makes event ids: UUIDs of version 7 (RFC 9562, 5.7) without dashes, so
// that the order of ids is the order of time.
//
//	48 bits   milliseconds
//	12 bits   the rest of the millisecond (RFC 9562, 6.2, method 3)
//	14 bits   counter: the order within one instant of one process
//	48 bits   random
type ids struct{ counter atomic.Uint32 }

func (i *ids) next(t time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[10:]) // never fails: crypto/rand ends the process instead
	rest := t.Nanosecond() % int(time.Millisecond)
	fraction := uint64(rest) << 12 / uint64(time.Millisecond)
	binary.BigEndian.PutUint64(b[:8], millis(t)<<16|7<<12|fraction)
	binary.BigEndian.PutUint16(b[8:10], 0b10<<14|uint16(i.counter.Add(1)&(1<<14-1)))
	return hex.EncodeToString(b[:])
}

// floor returns the beginning of all ids of a millisecond: none of that
// millisecond or later is below it.
func floor(t time.Time) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], millis(t)<<16)
	return hex.EncodeToString(b[:6])
}

func millis(t time.Time) uint64 {
	if ms := t.UnixMilli(); ms > 0 {
		return uint64(ms) & (1<<48 - 1)
	}
	return 0
}
