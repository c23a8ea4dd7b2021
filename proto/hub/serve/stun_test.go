package serve_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"mesh/proto/hub/serve"
	"mesh/proto/nat"
)

var stunID = [12]byte{1, 2, 3}

// mappedOver asks for the address of a connection.
func mappedOver(c net.Conn) (netip.AddrPort, error) {
	if _, err := c.Write(nat.AppendBinding(nil, stunID, 0)); err != nil {
		return netip.AddrPort{}, err
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 32) // an answer with an IPv4 address
	if _, err := io.ReadFull(c, b); err != nil {
		return netip.AddrPort{}, err
	}
	return nat.ParseMapped(b, stunID)
}

// The hub answers STUN over TCP at its own port, within limits of its own: connections that
// are held open keep no node out.
func TestSTUNAtDoor(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *serve.Options) {
		o.STUN = nat.NewServer(nil)
		o.Metrics = serve.NewMetrics("test")
	})
	for range nat.MaxTCPOfSource {
		c := h.dialFrom(t, "127.0.0.1")
		want := c.LocalAddr().(*net.TCPAddr).AddrPort()
		for range 2 {
			if got, err := mappedOver(c); err != nil || got != want {
				t.Fatalf("got %v, %v, want %v", got, err, want)
			}
		}
	}
	if got, err := mappedOver(h.dialFrom(t, "127.0.0.1")); err == nil {
		t.Errorf("one connection too many: got %v, want none", got)
	}
	if got, err := mappedOver(h.dialFrom(t, "127.0.0.2")); err != nil {
		t.Errorf("from another address: got %v, %v, want an answer", got, err)
	}
	h.enter(t, h.member(t))
	got, _ := metricsOf(t, h)
	if got[`mesh_hub_stun_answers_total{transport="tcp"}`] != "17" || got["mesh_hub_stun_connections"] != "9" || got["mesh_hub_stun_limited_total"] != "1" {
		t.Errorf("got the metrics %v", got)
	}
}

// A hub that is no STUN server, and one that would tell the address of a proxy, answers no
// STUN.
func TestNoSTUNAtDoor(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*serve.Options){
		"none": nil,
		"proxy": func(o *serve.Options) {
			o.STUN, o.Proxies = nat.NewServer(nil), []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		},
	} {
		h := start(t, set)
		if got, err := mappedOver(h.dialFrom(t, "127.0.0.1")); err == nil {
			t.Errorf("%s: got %v, want no answer", name, got)
		}
	}
}
