package identity

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"mesh/proto"
)

// The address book's files in the state folder. Both consist of lines of words; "#"
// begins a comment. They are read again for each question, so that an edit takes
// effect at once.
const (
	// KnownPeersFile has lines "NAME NODEID [HOST:PORT[,HOST:PORT…]]".
	KnownPeersFile = "known_peers"
	// AuthorizedPeersFile has lines "NODEID CAPABILITIES".
	AuthorizedPeersFile = "authorized_peers"
)

const (
	maxPeersFileBytes = 1 << 20
	// MaxAddrs bounds the addresses of one peer.
	MaxAddrs     = 8
	maxHostBytes = 253 // RFC 1035, section 3.1
	maxNameBytes = 63
)

// Peer is an entry of known_peers: a name, the node id it stands for, and the
// addresses to dial.
type Peer struct {
	Name  string   `json:"name"`
	ID    ID       `json:"id"`
	Addrs []string `json:"addrs"`
}

// Book is the address book in a state folder.
type Book struct {
	// Dir is the state folder. A folder that does not exist is an empty address
	// book.
	Dir string
}

// CheckName returns an error unless name may stand in the address book: NAME, or
// NAME@HOST for a peer that a hub has named. The error does not contain a name that could
// be a token.
func CheckName(name string) error {
	name, host, atHub := strings.Cut(name, "@")
	if atHub && (host == "" || len(host) > maxHostBytes || strings.ContainsFunc(host, func(r rune) bool { return r != ':' && notInName(r) })) {
		return fmt.Errorf("name %s: what follows @ is not the host of a hub", proto.QuoteText(name+"@"+host))
	}

	if strings.HasPrefix(name, proto.TokenPrefix) || strings.HasPrefix(name, idPrefix) {
		return fmt.Errorf("a name begins with neither %s, as tokens do, nor %s, as node ids do", proto.TokenPrefix, idPrefix)
	}
	if name == "" || len(name) > maxNameBytes || strings.Contains(".-_", name[:1]) || strings.ContainsFunc(name, notInName) {
		return fmt.Errorf("name %s: a name is up to 63 letters, digits, dots, dashes and underscores", proto.QuoteText(name))
	}
	return nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}

// CheckAddr returns an error unless addr is a HOST:PORT to dial.
func CheckAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %s: want HOST:PORT or [IPv6]:PORT", proto.QuoteText(addr))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("address %s: port %s is not a number from 1 to 65535", proto.QuoteText(addr), proto.QuoteText(port))
	}
	_, err = netip.ParseAddr(host)
	if host == "" || len(host) > maxHostBytes || strings.ContainsFunc(host, notInHost) || err != nil && strings.Contains(host, ":") {
		return fmt.Errorf("address %s: not a host", proto.QuoteText(addr))
	}
	return nil
}

func notInHost(r rune) bool { return r <= ' ' || r >= 0x7f || r == ',' || r == '#' }

// Known returns the entries of known_peers in the order of the file.
func (b Book) Known() ([]Peer, error) {
	var peers []Peer
	path := filepath.Join(b.Dir, KnownPeersFile)
	err := eachLine(path, func(words []string) error {
		p, err := parsePeer(words)
		peers = append(peers, p)
		return err
	})
	return peers, err
}

func parsePeer(words []string) (Peer, error) {
	if len(words) < 2 || len(words) > 3 {
		return Peer{}, errors.New("want NAME NODEID [HOST:PORT,…]")
	}
	id, err := ParseID(words[1])
	if err != nil {
		return Peer{}, err
	}
	p := Peer{Name: words[0], ID: id}
	if err := CheckName(p.Name); err != nil {
		return Peer{}, err
	}
	if len(words) == 3 {
		p.Addrs = strings.Split(words[2], ",")
	}
	if len(p.Addrs) > MaxAddrs {
		return Peer{}, fmt.Errorf("more than %d addresses", MaxAddrs)
	}
	for _, a := range p.Addrs {
		if err := CheckAddr(a); err != nil {
			return Peer{}, err
		}
	}
	return p, nil
}

// Lookup returns the peer with the given name, and whether there is one.
func (b Book) Lookup(name string) (Peer, bool, error) {
	peers, err := b.Known()
	for _, p := range peers {
		if p.Name == name {
			return p, true, err
		}
	}
	return Peer{}, false, err
}

// NameOf returns the first name of id in known_peers, or "".
func (b Book) NameOf(id ID) string {
	peers, _ := b.Known() // a name is a convenience; other calls report a bad file
	for _, p := range peers {
		if p.ID == id {
			return p.Name
		}
	}
	return ""
}

// Add writes p into known_peers. It replaces the addresses of an entry with the same
// name and key. The same name with another key is an error with code
// [proto.Identity], since only a person can decide whether to trust a changed key.
func (b Book) Add(p Peer) error {
	for _, a := range p.Addrs {
		if err := CheckAddr(a); err != nil {
			return &proto.Error{Code: proto.Usage, Err: err}
		}
	}
	if err := CheckName(p.Name); err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	line := p.Name + " " + p.ID.String()
	if len(p.Addrs) > 0 {
		line += " " + strings.Join(p.Addrs, ",")
	}
	if _, err := parsePeer(strings.Fields(line)); err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	return b.editLines(KnownPeersFile, line, func(words []string) (bool, error) {
		if words[0] != p.Name {
			return false, nil
		}
		if old, err := parsePeer(words); err != nil || old.ID != p.ID {
			return false, proto.Errorf(proto.Identity, "peer %s is known with another key", p.Name)
		}
		return true, nil
	})
}

// Forget removes name from known_peers, and reports whether it was there.
func (b Book) Forget(name string) (bool, error) {
	found := false
	err := b.editLines(KnownPeersFile, "", func(words []string) (bool, error) {
		found = found || words[0] == name
		return words[0] == name, nil
	})
	return found, err
}
