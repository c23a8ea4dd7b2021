package node

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/statefile"
	"mesh/tools/outfile"
)

// addrsFile in the state folder holds the addresses of the listener that was started
// last, one a line. mesh-token new puts them into its tokens.
const addrsFile = "listener_addrs"

const maxAddrsBytes = 64 << 10

func writeAddrs(dir string, addrs []string) error {
	return outfile.Write(filepath.Join(dir, addrsFile), []byte(strings.Join(addrs, "\n")+"\n"), 0o600)
}

// ListenerAddrs returns the addresses of the mesh-listen that was started last with
// this state folder, or none.
func ListenerAddrs(book identity.Book) ([]string, error) {
	text, err := statefile.Read(filepath.Join(book.Dir, addrsFile), maxAddrsBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text)), nil
}

// ownAddrs returns the addresses at which a socket can be reached: its own, or if it
// is bound to all addresses, the global unicast addresses of this machine. Only a
// machine without any of these gets a loopback address.
func ownAddrs(bound net.Addr) ([]string, error) {
	at, err := netip.ParseAddrPort(bound.String())
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(int(at.Port()))
	if ip := at.Addr().Unmap(); !ip.IsUnspecified() {
		return []string{net.JoinHostPort(ip.WithZone("").String(), port)}, nil
	}
	ifAddrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, proto.IOError(err)
	}
	return reachable(ifAddrs, port, at.Addr().Is4()), nil
}

// reachable picks the addresses of a machine's interfaces that other machines can
// dial.
func reachable(interfaces []net.Addr, port string, only4 bool) []string {
	var addrs, loopback []string
	for _, a := range interfaces {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip := prefix.Addr().Unmap()
		addr := net.JoinHostPort(ip.String(), port)
		switch {
		case only4 && !ip.Is4():
		case ip.IsLoopback():
			loopback = append(loopback, addr)
		case ip.IsGlobalUnicast() && len(addrs) < identity.MaxAddrs:
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		addrs = loopback[:min(1, len(loopback))]
	}
	return addrs
}
