package transport

import (
	"net"
	"net/netip"
	"testing"
)

func TestSourceOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7:4600":              "192.0.2.7/32",
		"[::ffff:192.0.2.7]:4600":     "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:4600": "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:4600": "2001:db8:1:2::/64",
		"[fe80::1%lo]:4600":           "fe80::/64",
		"[2001:db8:1:3:3:4:5:6]:4600": "2001:db8:1:3::/64",
	} {
		got, err := sourceOf(net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
		if err != nil || got.String() != want {
			t.Errorf("source of %s: got %s (%v), want %s", addr, got, err, want)
		}
	}
	if got, err := sourceOf(&net.UnixAddr{Name: "x"}); err == nil {
		t.Errorf("source of a unix socket: got %s, want an error", got)
	}
}
