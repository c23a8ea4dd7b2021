package roam

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// groups are those of rtnetlink(7) whose messages are hints.
const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV6_ROUTE

// hint returns a channel that gets a value after each message of the kernel, if there is
// room. It is closed when ctx ends or the socket fails. It is nil where there is no such
// socket: Android and some containers forbid it.
func hint(ctx context.Context) <-chan struct{} {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil
	}
	f := os.NewFile(uintptr(fd), "netlink")
	stop := context.AfterFunc(ctx, func() { _ = f.Close() })
	hints := make(chan struct{}, 1)
	go func() {
		defer close(hints)
		defer f.Close()
		defer stop()
		buf := make([]byte, 64<<10) // what does not fit is cut off; nobody reads it
		for {
			if _, err := f.Read(buf); err != nil && !errors.Is(err, unix.ENOBUFS) { // messages were lost: a hint too
				return
			}
			select {
			case hints <- struct{}{}:
			default:
			}
		}
	}()
	return hints
}
