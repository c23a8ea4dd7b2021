package node

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/nat"
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

// followAddrs writes the addresses of a listener again after each change of this machine's
// network, until the node closes: mesh-token new makes tokens of them. written are those in
// the file.
func (n *Node) followAddrs(given []string, bound net.Addr, written []string) {
	// A process that may hardly open enough files for one delivery needs all of them for it:
	// watching the network takes one more.
	if len(given) > 0 || files.MaxDeliveries() == 1 {
		return
	}
	for changed := n.nextChange(); ; {
		select {
		case <-n.life.Done():
			return
		case <-changed:
		}
		changed = n.nextChange()
		addrs, err := addrsNow(given, bound)
		if err == nil && !slices.Equal(addrs, written) {
			err = writeAddrs(n.Book.Dir, addrs)
			written = addrs
		}
		if err != nil {
			n.Log.Warn("mesh-token new has the addresses of another network", "err", err)
			written = nil
		}
	}
}

// addrsNow returns the addresses of a listener: those of its flags, else those at which its
// socket can be reached now; none without either.
func addrsNow(given []string, bound net.Addr) ([]string, error) {
	if len(given) > 0 || bound == nil {
		return given, nil
	}
	return ownAddrs(bound)
}

// ownAddrs returns the addresses at which a socket can be reached: its own, or if it
// is bound to all addresses, those of this machine.
func ownAddrs(bound net.Addr) ([]string, error) {
	at, err := netip.ParseAddrPort(bound.String())
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(int(at.Port()))
	if ip := at.Addr().Unmap(); !ip.IsUnspecified() {
		return []string{net.JoinHostPort(ip.WithZone("").String(), port)}, nil
	}
	return hostAddrs(port, at.Addr().Is4())
}

// hostAddrs returns the addresses of this machine that other machines can dial, with a
// port, the best ones first: [nat.LocalHosts].
func hostAddrs(port string, only4 bool) (addrs []string, err error) {
	hosts, err := nat.LocalHosts(only4)
	if err != nil {
		return nil, proto.IOError(err)
	}
	for _, h := range hosts {
		addrs = append(addrs, net.JoinHostPort(h.Addr.String(), port))
	}
	return addrs, nil
}
