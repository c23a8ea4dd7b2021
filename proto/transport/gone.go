package transport

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// suspectTime is the silence after which a QUIC connection is given up when a message
// says that nobody listens at the peer's port (ICMP port unreachable). Such a message
// proves nothing by itself: anybody can forge it, and routers send it too.
const suspectTime = time.Second

// GoneAfter is how long the peer's host must refuse every connection, or how long a
// dialer whose host has reset the connection must stay away, until the peer's process
// counts as gone. It applies where no router is on the way; anywhere else a refusal
// may come from a middlebox and never counts. A firewall that resets connections for a
// moment, while its rules are loaded, must not end a transfer.
const GoneAfter = 5 * time.Second

// LeftAfter is how long a relay must say that the peer's process has ended its last
// connection, while the peer stays away, until the process counts as gone. A living peer
// comes back sooner, and a relay that lies can do no more harm than one that is cut off.
const LeftAfter = 30 * time.Second

// watchers are the QUIC connections to end when the peer's process is gone. The
// zero value is ready to use.
type watchers struct {
	mu  sync.Mutex
	all map[*watcher]struct{}
}

// watcher is one connection, or one attempt to make one.
type watcher struct {
	addr  func() net.Addr
	heard func() uint64 // packets received so far
	gone  func()

	suspected atomic.Bool
}

func (s *watchers) add(w *watcher) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*watcher]struct{})
	}
	s.all[w] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, w)
	}
}

// suspect handles the message that nobody listens at addr. It does not block.
func (s *watchers) suspect(addr netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.all {
		if !samePeer(w.addr(), addr) || !w.suspected.CompareAndSwap(false, true) {
			continue
		}
		before := w.heard()
		time.AfterFunc(suspectTime, func() {
			if w.heard() == before {
				w.gone()
			}
			w.suspected.Store(false)
		})
	}
}

func samePeer(a net.Addr, b netip.AddrPort) bool {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return false
	}
	ap := udp.AddrPort()
	return ap.Port() == b.Port() && ap.Addr().Unmap().WithZone("") == b.Addr().Unmap().WithZone("")
}
