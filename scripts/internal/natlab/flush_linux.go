package main

import (
	"encoding/binary"
	"fmt"
	"syscall"
)

// flush makes the kernel forget all connections that it tracks, and their NAT mappings:
// IPCTNL_MSG_CT_DELETE of nfnetlink_conntrack, with no filter.
func flush() error {
	const (
		netfilter = 12
		ctDelete  = 1<<8 | 2 // subsystem ctnetlink, message delete
	)
	s, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netfilter)
	if err != nil {
		return err
	}
	defer syscall.Close(s)
	m := make([]byte, 20) // nlmsghdr and nfgenmsg
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	binary.NativeEndian.PutUint16(m[4:], ctDelete)
	binary.NativeEndian.PutUint16(m[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_ACK)
	if err := syscall.Sendto(s, m, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	b := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(s, b, 0)
	if err != nil {
		return err
	}
	if n < 20 {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	if errno := syscall.Errno(-int32(binary.NativeEndian.Uint32(b[16:]))); errno != 0 {
		return errno
	}
	return nil
}
