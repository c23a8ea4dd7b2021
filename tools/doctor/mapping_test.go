package doctor

import (
	"errors"
	"net/netip"
	"testing"

	"mesh/proto/candidate"
	"mesh/proto/nat"
)

// What the router says is told in one line, whatever it says.
func TestMapped(t *testing.T) {
	t.Parallel()
	external := netip.MustParseAddr("203.0.113.9")
	port := candidate.At(candidate.PortMapped, candidate.UDP, netip.AddrPortFrom(external, 4600), 0)
	for _, tt := range []struct {
		got   nat.Forwards
		state State
		text  string
	}{
		{nat.Forwards{Candidates: []candidate.Candidate{port}, By: "UPnP", External: external}, OK, "the router forwards ports of 203.0.113.9 by UPnP"},
		{nat.Forwards{}, Warn, "the router forwards no port"},
		{nat.Forwards{Err: errors.New("NAT-PMP: refused\nUPnP: \x1b[2Jno")}, Warn, `the router forwards no port: NAT-PMP: refused\x0aUPnP: \x1b[2Jno`},
	} {
		s := new(section)
		s.mapped(tt.got)
		if l := s.lines; len(l) != 1 || l[0].State != tt.state || l[0].Text != tt.text || l[0].Check != "mapping" || (l[0].Hint == "") != (tt.state == OK) {
			t.Errorf("%+v: got %+v, want %s: %s", tt.got, l, tt.state, tt.text)
		}
	}
}
