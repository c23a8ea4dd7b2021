package hub

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestSTUNAddrs(t *testing.T) {
	t.Parallel()
	proxy := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, tt := range []struct {
		listen, bound, stun string
		proxies             []netip.Prefix
		want                string
	}{
		{":443", "[::]:443", "", nil, "[{[::]:443  } {:3478  3478}]"},
		{"203.0.113.9:443", "203.0.113.9:443", "", nil, "[{203.0.113.9:443  } {203.0.113.9:3478  3478}]"},
		{"127.0.0.1:0", "127.0.0.1:4711", "", nil, "[{127.0.0.1:4711  } {127.0.0.1:0  0}]"},
		{":3478", "[::]:3478", "", nil, "[{[::]:3478  }]"},
		{":443", "[::]:443", ":443", nil, "[{[::]:443  }]"},
		{":443", "[::]:443", ":5000", nil, "[{[::]:443  } {:5000  5000}]"},
		{":443", "[::]:443", "0.0.0.0:5000", nil, "[{[::]:443  } {0.0.0.0:5000  5000}]"},
		{":443", "[::]:443", "203.0.113.9:5000", nil, "[{[::]:443  } {203.0.113.9:5000 203.0.113.9 5000}]"},
		{":8443", "[::]:8443", "", proxy, "[{[::]:8443  8443} {:3478  3478}]"},
		{"127.0.0.1:8443", "127.0.0.1:8443", "", proxy, "[]"},
		{"127.0.0.1:8443", "127.0.0.1:8443", ":3478", proxy, "[{:3478  3478}]"},
	} {
		h := &server{o: serveOptions{listen: tt.listen, stun: tt.stun, proxies: tt.proxies}}
		if got := fmt.Sprint(h.stunAddrs(netip.MustParseAddrPort(tt.bound))); got != tt.want {
			t.Errorf("--listen %s --stun %q, proxies %v: got %s, want %s", tt.listen, tt.stun, tt.proxies, got, tt.want)
		}
	}
}

// A node is told the ports under the name by which it reaches the hub.
func TestSTUNServers(t *testing.T) {
	t.Parallel()
	h := &server{stun: &stunServer{told: []stunAddr{{"[::]:443", "", ""}, {":3478", "", "3478"}, {"203.0.113.9:5000", "203.0.113.9", "5000"}}}}
	for origin, want := range map[string]string{
		"wss://hub.example:443":       "[hub.example:443 hub.example:3478 203.0.113.9:5000]",
		"ws://127.0.0.1:8080":         "[127.0.0.1:8080 127.0.0.1:3478 203.0.113.9:5000]",
		"wss://[2001:db8::1]:8443":    "[[2001:db8::1]:8443 [2001:db8::1]:3478 203.0.113.9:5000]",
		"wss://relay.hub.example:444": "[relay.hub.example:444 relay.hub.example:3478 203.0.113.9:5000]",
	} {
		if got := fmt.Sprint(h.stunServers(origin)); got != want {
			t.Errorf("%s: got %s, want %s", origin, got, want)
		}
	}
	if got := (&server{}).stunServers("wss://hub.example:443"); got != nil {
		t.Errorf("without STUN: got %v, want none", got)
	}
}
