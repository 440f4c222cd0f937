package proxy

// frames follows the frames of one direction of a WebSocket (RFC 6455, section
// 5.2), so that a close frame can be put between two of them. A nil frames
// follows nothing.
type frames struct {
	head [10]byte // of the frame that is under way
	have int      // bytes of it
	left uint64   // bytes of its payload, masking key included, still to come
}

// between tells whether the last frame is complete.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 }

// feed follows bytes that were passed on.
func (f *frames) feed(p []byte) {
	if f == nil {
		return
	}
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)))
			f.left -= n
			p = p[n:]
			continue
		}
		f.head[f.have] = p[0]
		f.have++
		p = p[1:]
		f.open()
	}
}

// open reads the length of the payload once the head is complete.
func (f *frames) open() {
	if f.have < 2 {
		return
	}
	need, short := 2, uint64(f.head[1]&0x7f)
	switch short {
	case 126:
		need = 4
	case 127:
		need = 10
	}
	if f.have < need {
		return
	}
	size := short
	if need > 2 {
		size = 0
		for _, b := range f.head[2:need] {
			size = size<<8 | uint64(b)
		}
	}
	if f.head[1]&0x80 != 0 {
		size += 4
	}
	f.have, f.left = 0, size
}

// closeFrame returns a close frame of a server (RFC 6455, section 5.5.1); text
// has at most 123 bytes.
func closeFrame(code uint16, text string) []byte {
	return append([]byte{0x88, byte(2 + len(text)), byte(code >> 8), byte(code)}, text...) //nolint:gosec // bytes of a number, and a short length
}
