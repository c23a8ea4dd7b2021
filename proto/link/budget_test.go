package link_test

import (
	"testing"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
)

// The windows of all peers together stay within the budget, and come back with the end
// of each transfer; also one with many links gets no more.
func TestWindowBudget(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		const peers = 60
		s := newSite(t, n, proto.AllCaps, peers)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		e, _ := n.Endpoint(t)
		for range 2 {
			var sum int64
			var ends []*link.Link
			for i := range peers {
				dl, ll := s.dial(t, e, cred, proto.CapSend)
				if dl.PeerWindow != ll.Window {
					t.Fatalf("peer %d: announced %d and has %d", i, dl.PeerWindow, ll.Window)
				}
				if i == 0 && ll.Window != proto.WindowBytes {
					t.Errorf("the first peer has a window of %d, want %d", ll.Window, proto.WindowBytes)
				}
				sum += 2 * ll.Window
				ends = append(ends, dl, ll)
			}
			if most := int64(proto.BudgetBytes + 2*peers*proto.MinWindowBytes); sum > most {
				t.Errorf("%d peers have windows of %d bytes, want at most %d", peers, sum, most)
			}
			last := ends[len(ends)-2:]
			was := last[1].Window
			last[0].Break(proto.Errorf(proto.Timeout, "enough"))
			dl, ll := resumed(t, last[0], last[1])
			if dl.PeerWindow != was || ll.Window != was {
				t.Errorf("after a resume the window is %d and %d, want %d", dl.PeerWindow, ll.Window, was)
			}
			for _, l := range append(ends[:len(ends)-2], dl, ll) {
				l.Close(nil)
			}
		}
	})
}
