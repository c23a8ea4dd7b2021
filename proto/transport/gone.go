package transport

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// GoneAfter is the silence after which a message that nobody listens at the peer's
// port (ICMP port unreachable, a TCP reset) is believed. Such a message proves
// nothing by itself: anybody can forge it, and routers send it too.
const GoneAfter = time.Second

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
		time.AfterFunc(GoneAfter, func() {
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
