package link

import (
	"context"
	"net"
	"net/netip"
	"time"

	"mesh/proto"
)

// watchTime is the time between two looks of [Link.Watch].
const watchTime = proto.QuietTimeout / 8

// Watch breaks the link when it is of no use any more: nothing is heard from the
// peer for [proto.QuietTimeout], or its own address is none of this host's any
// more, which a connection over TCP can't follow, or this host, or the process, has
// slept for so long that the peer has given the link up. It blocks until then, or
// until ctx ends. The dialer's end calls it if it wants to go on with its transfer
// sooner than the carrier's own idle timeout allows.
func (l *Link) Watch(ctx context.Context) {
	tick := time.NewTicker(watchTime)
	defer tick.Stop()
	owns := l.session.endpoint.Owns
	w := watch{looked: time.Now(), heard: l.conn.Heard(), owns: owns}
	if addr := ipOf(l.conn.LocalAddr()); owns(addr) {
		w.addr = addr
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := w.look(time.Now(), l.conn.Heard()); err != nil {
			l.Break(err)
			return
		}
	}
}

// watch is what is known of a link that is looked at every watchTime.
type watch struct {
	looked time.Time
	heard  uint64
	silent int        // looks in a row at which nothing new was heard
	addr   netip.Addr // ours; invalid when it is not known, or may not be ours
	owns   func(netip.Addr) bool
}

// look returns why the link is of no use any more. Time on the wall counts: Go's
// other clock stops while Linux and macOS sleep. Whoever sets it forward by much
// has the link made anew.
func (w *watch) look(now time.Time, heard uint64) error {
	slept := now.Round(0).Sub(w.looked.Round(0))
	w.looked = now
	if slept >= proto.IdleTimeout {
		return proto.Errorf(proto.Timeout, "this end has slept for %s", slept.Round(time.Second))
	}
	if heard != w.heard {
		w.heard, w.silent = heard, 0
		return nil
	}
	w.silent++
	if w.addr.IsValid() && !w.owns(w.addr) {
		return proto.Errorf(proto.Timeout, "this host is not at %s any more", w.addr)
	}
	if time.Duration(w.silent)*watchTime >= proto.QuietTimeout {
		return proto.Errorf(proto.Timeout, "nothing heard from the peer for %s", proto.QuietTimeout)
	}
	return nil
}

// ipOf returns an address's IP address, invalid if it has none.
func ipOf(a net.Addr) netip.Addr {
	var ip net.IP
	switch a := a.(type) {
	case *net.IPNet:
		ip = a.IP
	case *net.TCPAddr:
		ip = a.IP
	case *net.UDPAddr:
		ip = a.IP
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
