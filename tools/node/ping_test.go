package node_test

import (
	"testing"

	"mesh/proto"
	"mesh/tools/node"
)

// Each path through a hole is pinged as often as it can be: a TCP hole once, since it is
// one connection.
func TestPingPunched(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		via  string
		want string
		rtts int
	}{
		{"quic", "lan udp4", 3}, {"tcp", "punched tcp4", 1},
	} {
		t.Run(tt.via, func(t *testing.T) {
			t.Parallel()
			h, stun := punchHub(t, asTold), stunServers(t)
			bob := newNode(t, both(at("", h.URL()), hidden(stun)))
			alice := newNode(t, both(at("hub", h.URL()), both(hidden(stun), via(t, tt.via))))
			allow(t, bob, alice, proto.CapSend)
			bob.online(t, listening("bob"))
			p, err := alice.Peer(t.Context(), node.PeerText{Text: "bob"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := alice.Ping(t.Context(), p, node.PingRequest{Count: 3})
			if err != nil {
				t.Fatal(err)
			}
			if path := got.Ping.Path.String(); path != tt.want || len(got.RTTs) != tt.rtts || got.Lost != 0 || got.Answer() != "allowed" {
				t.Errorf("got %s, %d round trips, %d lost, %s; want %s, %d round trips, none lost, allowed", path, len(got.RTTs), got.Lost, got.Answer(), tt.want, tt.rtts)
			}
		})
	}
}
