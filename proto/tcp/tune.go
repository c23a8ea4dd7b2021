package tcp

import "net"

// Tune sets the options of a TCP connection that a relay or the way to one uses, as
// those of a link: BBR where the kernel has it. Any other conn it leaves as it is.
func Tune(conn net.Conn) { _ = useBBR(conn) }
