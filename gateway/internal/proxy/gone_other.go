//go:build !linux

package proxy

import "net"

// left is not known here: a client that left is noticed when it is written to.
func left(net.Conn) bool { return false }
