package gateway

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peers lets in connections of the user that runs the gateway, and of root.
type peers struct{ net.Listener }

// Accept returns the next connection of such a user.
func (p peers) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if allowed(conn) {
			return conn, nil
		}
		_ = conn.Close()
	}
}

func allowed(conn net.Conn) bool {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return err == nil && failed == nil && (cred.Uid == 0 || int(cred.Uid) == os.Getuid())
}
