// Natlab is what a network has beside its router: scripts/nat-lab starts it in one.
//
//	natlab http USER:PASSWORD ADDR    an HTTP proxy that knows CONNECT, to port 443 alone
//	natlab socks USER:PASSWORD ADDR   a SOCKS5 proxy (RFC 1928, RFC 1929), the same
//	natlab dns64 PREFIX ADDR          a name server that knows the translator to IPv4
//	                                  (RFC 6147, RFC 7050), and names of /etc/hosts
//	natlab flush - -                  makes this router forget its mappings
//	natlab meter FILE -               reads standard input, notes gaps in FILE
//
// USER:PASSWORD may be "", for nobody is asked. ADDR is HOST:PORT. A server prints "ready"
// once it listens, and ends when it is killed.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: natlab http|socks|dns64|flush|meter ARGUMENT ADDR")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "natlab:", err)
		os.Exit(1)
	}
}

func serve(what, argument, addr string) error {
	switch what {
	case "http":
		return serveEach(addr, func(c net.Conn) error { return connectHTTP(c, argument) })
	case "socks":
		return serveEach(addr, func(c net.Conn) error { return connectSOCKS(c, argument) })
	case "flush":
		return flush()
	case "meter":
		return meter(argument)
	case "dns64":
		return serveDNS(argument, addr)
	}
	return fmt.Errorf("%s is unknown", what)
}
