package doctor

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// canUnbroken says that [unbroken] works here.
const canUnbroken = true

// unbroken makes a UDP socket send packets that no router may break into fragments,
// whatever the kernel believes about the path.
func unbroken(network, _ string, c syscall.RawConn) (err error) {
	level, option, value := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE
	if strings.HasSuffix(network, "6") {
		level, option, value = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE
	}
	cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, value) })
	if cerr != nil {
		return cerr
	}
	return err
}
