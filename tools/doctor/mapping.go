package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"mesh/proto/nat"
)

// mapTime bounds the questions to the router: a search by UPnP takes some 3 seconds.
const mapTime = 3500 * time.Millisecond

// mapping asks the router to forward a port, and gives it back. seen are the addresses at
// which STUN servers see this machine.
func (s *section) mapping(ctx context.Context, seen []netip.Addr) {
	c, err := net.ListenPacket("udp4", ":0")
	if err != nil {
		s.fail("mapping", err, "")
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, mapTime)
	defer cancel()
	port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	answers := nat.MapPorts(ctx, nat.PortMapOptions{UDP: port, Seen: func() []netip.Addr { return seen }})
	got, ok := <-answers
	cancel()
	for range answers { // it is closed once the port is given back
	}
	if !ok {
		got.Err = errors.New("it has not answered in time")
	}
	s.mapped(got)
}

// mapped adds the line about what the router has answered.
func (s *section) mapped(got nat.Forwards) {
	if len(got.Candidates) > 0 {
		s.add(OK, "mapping", "the router forwards ports of "+got.External.String()+" by "+got.By, "")
		return
	}
	text := "the router forwards no port"
	if got.Err != nil {
		text += ": " + got.Err.Error()
	}
	s.add(Warn, "mapping", text, "for links from outside turn on UPnP or NAT-PMP in the router, or forward a port in it")
}
