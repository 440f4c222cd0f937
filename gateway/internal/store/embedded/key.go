package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// A component of a key ends with 00 01, and a zero byte inside it is written 00
// FF. So no component is the beginning of another, and keys sort as the lists
// of their components do.
const (
	zero       = 0x00
	terminator = 0x01
	escaped    = 0xFF
)

// escape appends s to b without the mark of its end.
func escape(b []byte, s string) []byte {
	for i := range len(s) {
		b = append(b, s[i])
		if s[i] == zero {
			b = append(b, escaped)
		}
	}
	return b
}

// component appends s and the mark of its end to b.
func component(b []byte, s string) []byte {
	return append(escape(b, s), zero, terminator)
}

var errDamaged = errors.New("the store file is damaged: a key cannot be read")

// split reads the component that k begins with and returns what follows it.
func split(k []byte) (string, []byte, error) {
	var part []byte
	for {
		i := bytes.IndexByte(k, zero)
		if i < 0 || i+1 == len(k) {
			return "", nil, errDamaged
		}
		part = append(part, k[:i]...)
		mark := k[i+1]
		k = k[i+2:]
		switch mark {
		case terminator:
			return string(part), k, nil
		case escaped:
			part = append(part, zero)
		default:
			return "", nil, errDamaged
		}
	}
}

// rowKey is a record's key in its table. The id stands last and as it is.
func rowKey(tenant, id string) []byte {
	b := make([]byte, 0, len(tenant)+len(id)+2)
	return append(component(b, tenant), id...)
}

// indexBase is what the keys of one tenant's records with one value begin with.
func indexBase(tenant, equal string) []byte {
	return component(component(make([]byte, 0, 64), tenant), equal)
}

// indexKey is a record's key in an index.
func indexKey(tenant, equal, order, id string) []byte {
	return append(component(indexBase(tenant, equal), order), id...)
}

// never is the time of what does not expire or fall due.
const never = math.MaxInt64

func millis(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return t.UnixMilli()
}

func timeOf(ms int64) time.Time {
	if ms == never {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// timeKey puts a time before a row key, so that byte order is time order.
func timeKey(ms int64, row []byte) []byte {
	b := make([]byte, 8, 8+len(row))
	binary.BigEndian.PutUint64(b, uint64(ms)^1<<63)
	return append(b, row...)
}

// splitTime undoes timeKey.
func splitTime(k []byte) (int64, []byte, error) {
	if len(k) < 8 {
		return 0, nil, errDamaged
	}
	return int64(binary.BigEndian.Uint64(k) ^ 1<<63), k[8:], nil
}

// after is the least key that does not begin with prefix and is above it, or
// nil when there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xFF {
			next := bytes.Clone(prefix[:i+1])
			next[i]++
			return next
		}
	}
	return nil
}
