package link_test

import (
	"io"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
)

// A short message is at the other end after 1.5 round trips over QUIC and 2.5 over
// TCP. With both transports it is there within 0.2 round trips of the quicker one that
// is not blocked.
func TestFirstByte(t *testing.T) {
	t.Parallel()
	const rtt = 100 * time.Millisecond
	for _, c := range []struct {
		name         string
		quic, tcp    bool
		noTCP, noUDP bool
		most         float64 // round trips
	}{
		{name: "quic", quic: true, most: 1.5},
		{name: "tcp", tcp: true, most: 2.5},
		{name: "auto", quic: true, tcp: true, most: 1.7},
		{name: "auto, TCP blocked", quic: true, tcp: true, noTCP: true, most: 1.7},
		{name: "auto, UDP blocked", quic: true, tcp: true, noUDP: true, most: 2.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			overPath(t, func(t *testing.T, p *network) {
				p.net.Latency, p.net.SlowStreams = rtt/2, true
				p.noTCP.Store(c.noTCP)
				p.noUDP.Store(c.noUDP)
				s := newSite(t, &p.net, proto.AllCaps, 1)
				cred, _ := s.issue(t, proto.CapSend, 0, 0)
				e := p.dialerOver(t, c.quic, c.tcp)
				target := s.target(cred, proto.CapSend)
				target.First = func(wire.TransferID) []byte { return []byte("hello") }
				begun := time.Now()
				dialed := make(chan *link.Link, 1) // sent once
				go func() {
					dl, err := e.Dial(t.Context(), target)
					if err != nil {
						t.Error(err)
					}
					dialed <- dl
				}()
				ll := s.accept(t)
				if _, err := io.ReadFull(ll, make([]byte, 5)); err != nil {
					t.Fatal(err)
				}
				if trips := float64(time.Since(begun)) / float64(rtt); trips > c.most+0.01 {
					t.Errorf("the first byte took %.2f round trips, want at most %.2f", trips, c.most)
				}
				if dl := <-dialed; dl != nil {
					dl.Close(nil)
				}
				ll.Close(nil)
			})
		})
	}
}

// On a near path nothing is sent over UDP, and a public address near by is not
// taken for a far one.
func TestFirstByteNear(t *testing.T) {
	t.Parallel()
	overPath(t, func(t *testing.T, p *network) {
		p.net.Latency, p.net.Routed = time.Millisecond, true
		s := newSite(t, &p.net, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		dl, ll := s.dial(t, p.dialer(t), cred, proto.CapSend)
		if got := dl.Path().String(); got != "direct tcp4" {
			t.Errorf("got path %q, want direct tcp4", got)
		}
		wantVia(t, dl, ll, proto.ViaTCP)
		if got := p.packets.Load(); got != 0 {
			t.Errorf("%d UDP packets were sent, want none", got)
		}
		dl.Close(nil)
		ll.Close(nil)
	})
}
