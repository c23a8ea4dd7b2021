package path_test

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/linktest"
	"mesh/proto/nat"
	"mesh/proto/path"
	"mesh/proto/transport"
	"mesh/proto/xtest"
)

// The path to an address that checks have proven is named by the candidate's type, over the
// transport that was checked. It is a LAN's, whatever the type, where the address is in one.
func TestPathOfProvenAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ    candidate.Type
		routed bool
		quic   string
	}{
		{candidate.Host, true, "direct udp4"},
		{candidate.ServerReflexive, true, "punched udp4"},
		{candidate.PortMapped, true, "mapped udp4"},
		{"", true, "punched udp4"}, // not told: the check that came from there is how it was learned
		{candidate.ServerReflexive, false, "lan udp4"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: time.Millisecond, Routed: c.routed}
			here, there := open(t, xtest.NewKey(t), n.Sockets(t)), open(t, xtest.NewKey(t), n.Sockets(t))
			s := nat.Session{ID: [16]byte{1}, Own: [32]byte{1}, Peer: [32]byte{2}, Dialer: true}
			dialer := here.Mux().Check(s)
			defer dialer.Close()
			listener := there.Mux().Check(nat.Session{ID: s.ID, Own: s.Peer, Peer: s.Own})
			defer listener.Close()
			listener.Remote(1, []candidate.Candidate{candidate.At(candidate.Host, candidate.UDP, addrOf(here), 0)})
			if c.typ != "" {
				dialer.Remote(1, []candidate.Candidate{candidate.At(c.typ, candidate.UDP, addrOf(there), 0)})
			} else {
				dialer.Remote(1, nil)
			}
			<-dialer.Proven()
			if got := path.Of(here, conn{via: proto.ViaQUIC, peer: there.Addr()}).String(); got != c.quic {
				t.Errorf("type %q: the path over quic is %q, want %q", c.typ, got, c.quic)
			}
			want := "direct tcp4"
			if !c.routed {
				want = "lan tcp4"
			}
			if got := path.Of(here, conn{via: proto.ViaTCP, peer: net.TCPAddrFromAddrPort(addrOf(there))}).String(); got != want {
				t.Errorf("type %q: the path over tcp is %q, want %q", c.typ, got, want)
			}
		})
	}
}

func addrOf(e *transport.Endpoint) netip.AddrPort { return netip.MustParseAddrPort(e.Addr().String()) }
