package transport

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"mesh/proto"
)

func TestSourcesOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7:4600":              "[192.0.2.7/32 192.0.2.7/32 192.0.2.7/32]",
		"[::ffff:192.0.2.7]:4600":     "[192.0.2.7/32 192.0.2.7/32 192.0.2.7/32]",
		"[2001:db8:1:2:3:4:5:6]:4600": "[2001:db8:1::/48 2001:db8:1::/56 2001:db8:1:2::/64]",
		"[2001:db8:1:2:ffff::1]:4600": "[2001:db8:1::/48 2001:db8:1::/56 2001:db8:1:2::/64]",
		"[fe80::1%lo]:4600":           "[fe80::/48 fe80::/56 fe80::/64]",
		"[2001:db8:1:1ff::6]:4600":    "[2001:db8:1::/48 2001:db8:1:100::/56 2001:db8:1:1ff::/64]",
	} {
		got, err := sourcesOf(net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
		if err != nil || got.text() != want {
			t.Errorf("sources of %s: got %s (%v), want %s", addr, got.text(), err, want)
		}
	}
	if got, err := sourcesOf(&net.UnixAddr{Name: "x"}); err == nil {
		t.Errorf("sources of a unix socket: got %s, want an error", got.text())
	}
}

func (s sources) text() string {
	var all []string
	for _, o := range s {
		all = append(all, o.network.String()+o.name)
	}
	return fmt.Sprint(all)
}

// A flood costs the networks that it comes from their own places, whatever addresses it
// takes in them.
func TestPoolGivesUpTheHeaviest(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]func(i int) string{
		"one address":   func(int) string { return "192.0.2.1" },
		"20 addresses":  func(i int) string { return fmt.Sprintf("192.0.2.%d", 1+i%20) },
		"a network /64": func(i int) string { return fmt.Sprintf("2001:db8:1:1::%x", i) },
		"a network /56": func(i int) string { return fmt.Sprintf("2001:db8:1:%x::1", i%256) },
		"a network /48": func(i int) string { return fmt.Sprintf("2001:db8:1:%x::1", i) },
		"ten networks":  func(i int) string { return fmt.Sprintf("2001:db8:%x:%x::1", i%10, i) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHalfOpen()
			admit := func(ip string) *place {
				p, err := h.admit(&h.handshake, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 1)), func() {})
				if err != nil {
					t.Fatalf("%s: %v", ip, err)
				}
				return p
			}
			honest := []*place{admit("198.51.100.1"), admit("2001:db8:ffff:1::1"), admit("198.51.100.1")}
			var last *place
			for i := range 3000 {
				last = admit(flood(i))
			}
			for i, p := range append(honest, last) {
				if p.pool == nil {
					t.Errorf("connection %d was given up, want it kept", i)
				}
			}
			if got := h.count(); got > proto.MaxHalfOpen {
				t.Errorf("%d connections, want at most %d", got, proto.MaxHalfOpen)
			}
		})
	}
}
