package path_test

import (
	"net"
	"net/netip"
	"testing"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/proto/transport"
)

// conn is a connection of which only the ends are asked.
type conn struct {
	transport.Conn
	via  string
	peer net.Addr
}

func (c conn) Via() string          { return c.via }
func (c conn) RemoteAddr() net.Addr { return c.peer }
func (c conn) Path() path.Path      { return path.Path{} }

func TestPathOf(t *testing.T) {
	t.Parallel()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	e, err := transport.Open(key, transport.Sockets{Interfaces: func() ([]netip.Prefix, error) {
		return []netip.Prefix{netip.MustParsePrefix("198.51.100.77/26"), netip.MustParsePrefix("2001:db8:1::7/64"), netip.MustParsePrefix("10.9.0.2/24")}, nil
	}, ThroughTunnel: netip.MustParsePrefix("10.9.0.0/24").Contains}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ via, peer, want string }{
		{proto.ViaTCP, "127.0.0.1:1", "lan tcp4"},
		{proto.ViaQUIC, "[::1]:1", "lan udp6"},
		{proto.ViaTCP, "10.1.2.3:1", "lan tcp4"},
		{proto.ViaTCP, "172.31.255.255:1", "lan tcp4"},
		{proto.ViaTCP, "172.32.0.1:1", "direct tcp4"},
		{proto.ViaQUIC, "192.168.0.1:1", "lan udp4"},
		{proto.ViaQUIC, "[::ffff:192.168.0.1]:1", "lan udp4"},
		{proto.ViaQUIC, "169.254.1.1:1", "lan udp4"},
		{proto.ViaTCP, "[fe80::1%eth0]:1", "lan tcp6"},
		{proto.ViaTCP, "[fd00::1]:1", "lan tcp6"},
		{proto.ViaTCP, "[2001:db8:1::8]:1", "lan tcp6"},
		{proto.ViaTCP, "[2001:db8:1:1::8]:1", "direct tcp6"},
		{proto.ViaQUIC, "198.51.100.127:1", "lan udp4"},
		{proto.ViaQUIC, "198.51.100.128:1", "direct udp4"},
		{proto.ViaQUIC, "100.64.0.1:1", "direct udp4"},
		{proto.ViaTCP, "8.8.8.8:1", "direct tcp4"},
		{proto.ViaTCP, "10.9.0.3:1", "tunnel tcp4"},
		{proto.ViaQUIC, "[::ffff:10.9.0.3]:1", "tunnel udp4"},
	} {
		peer := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.peer))
		if got := path.Of(e, conn{via: c.via, peer: peer}).String(); got != c.want {
			t.Errorf("%s to %s: got %q, want %q", c.via, c.peer, got, c.want)
		}
	}
	for peer, want := range map[string]bool{"127.0.0.1:1": true, "198.51.100.127:1": true, "10.9.0.3:1": false, "10.1.2.3:1": false} {
		if got := path.OnLink(e, conn{via: proto.ViaTCP, peer: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(peer))}); got != want {
			t.Errorf("no router is on the way to %s: got %v, want %v", peer, got, want)
		}
	}
}

func TestPathString(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]path.Path{
		"direct tcp6":               {Kind: path.Direct, Proto: "tcp6"},
		"relay tcp hub.example:443": {Kind: path.Relay, Proto: "tcp", Relay: "hub.example:443"},
		"relay wss hub.example":     {Kind: path.Relay, Proto: "wss", Relay: "hub.example"},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestKindBetter(t *testing.T) {
	t.Parallel()
	order := [][]path.Kind{{""}, {path.Relay}, {path.Tunnel}, {path.Direct, path.Mapped, path.Punched}, {path.LAN}} // the worst first
	for i, kinds := range order {
		for j, others := range order {
			for _, a := range kinds {
				for _, b := range others {
					if got, want := a.Better(b), i > j; got != want {
						t.Errorf("%q is better than %q: got %v, want %v", a, b, got, want)
					}
				}
			}
		}
	}
}
