//go:build !linux

package gateway

import "net"

// peers relies on the mode of the socket where the system does not tell who
// connects.
type peers struct{ net.Listener }
