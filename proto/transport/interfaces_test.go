package transport_test

import (
	"net/netip"
	"testing"

	"mesh/proto/transport"
)

func TestOwns(t *testing.T) {
	t.Parallel()
	var e transport.Endpoint
	for text, want := range map[string]bool{"127.0.0.1": true, "127.0.0.2": false, "192.0.2.1": false, "0.0.0.0": false, "::": false} {
		if got := e.Owns(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

func TestInterfaces(t *testing.T) {
	t.Parallel()
	var e transport.Endpoint
	all, err := e.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	want := netip.MustParsePrefix("127.0.0.1/8")
	for _, p := range all {
		if !p.IsValid() {
			t.Errorf("got the invalid prefix %s among %v", p, all)
		}
		if p == want {
			return
		}
	}
	t.Errorf("got %v, want %s among them", all, want)
}
