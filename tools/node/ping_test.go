package node_test

import (
	"slices"
	"testing"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// Each path through a hole is pinged as often as it can be: a TCP hole once, since it is
// one connection.
func TestPingPunched(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		via  string
		want string
		typ  candidate.Type
		rtts int
	}{
		{"quic", "lan udp4", candidate.ServerReflexive, 3}, {"tcp", "punched tcp4", candidate.ServerReflexive, 1},
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
			best := got.Ways[0]
			if path := best.Path.String(); path != tt.want || len(best.RTTs) != tt.rtts || best.Lost != 0 || got.Answer() != "allowed" {
				t.Errorf("got %s, %d round trips, %d lost, %s; want %s, %d round trips, none lost, allowed", path, len(best.RTTs), best.Lost, got.Answer(), tt.want, tt.rtts)
			}
			if best.Type != tt.typ && best.Type != candidate.PeerReflexive {
				t.Errorf("got the type %q, want %q, or prflx if the peer was faster", best.Type, tt.typ)
			}
			if tt.via == "quic" && (got.Here == "" || got.There == "") {
				t.Errorf("got the NATs %q and %q, want both", got.Here, got.There)
			}
		})
	}
}

// A peer that answers nowhere: each path that was tried is told, and why it failed.
func TestPingNowhere(t *testing.T) {
	t.Parallel()
	alice := withoutHole(t)
	p, err := alice.Peer(t.Context(), node.PeerText{Text: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := alice.Ping(t.Context(), p, node.PingRequest{Count: 3})
	xtest.WantCode(t, "ping", err, proto.Unreachable)
	var tried []string
	for _, w := range got.Tried {
		tried = append(tried, w.Text()+": "+w.Err.Error())
	}
	want := []string{"punched tcp: the peer has told no addresses for it", "punched udp: the peer has told no addresses for it"}
	if !slices.Equal(tried, want) || len(got.Ways) > 0 {
		t.Errorf("got %d paths, tried %q; want none, tried %q", len(got.Ways), tried, want)
	}
}
