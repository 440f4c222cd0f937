package proxy

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// frame makes a WebSocket frame (RFC 6455, section 5.2).
func frame(size int, masked bool) []byte {
	b := []byte{0x82}
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	switch {
	case size < 126:
		b = append(b, mask|byte(size))
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(size))
	}
	if masked {
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, bytes.Repeat([]byte{0x88}, size)...)
}

// However the bytes are cut, the follower is between frames exactly at their
// ends.
func TestFrames(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var all []byte
		ends := map[int]bool{0: true}
		for range 1 + rnd.IntN(5) {
			size := []int{0, 1, 125, 126, 127, 1000, 65535, 65536, 70000}[rnd.IntN(9)]
			all = append(all, frame(size, rnd.IntN(2) == 0)...)
			ends[len(all)] = true
		}
		f := &frames{}
		for at := 0; at < len(all); {
			n := min(1+rnd.IntN(1+rnd.IntN(3000)), len(all)-at)
			f.feed(all[at : at+n])
			at += n
			if f.between() != ends[at] {
				t.Fatalf("at byte %d of %d: between is %v", at, len(all), f.between())
			}
		}
	}
	var none *frames
	none.feed([]byte("x")) // follows nothing
}
