package edge

import (
	"net"
	"syscall"
)

func peerOf(c *net.UnixConn) (p Peer, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, false
	}
	err = raw.Control(func(fd uintptr) {
		who, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err == nil {
			p, ok = Peer{UID: int(who.Uid), PID: int(who.Pid)}, true
		}
	})
	return p, ok && err == nil
}
