//go:build unix

package upstream

import (
	"errors"
	"syscall"
)

// quiet tells whether a socket is open and has nothing to read.
func quiet(fd int) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
}
