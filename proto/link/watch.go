package link

import (
	"context"
	"net"
	"net/netip"
	"time"

	"mesh/proto"
)

const (
	// watchInterval is the time between two checks of [Link.Watch].
	watchInterval = proto.QuietTimeout / 8
	// quietAfterChange is how long the peer may be silent after a change of this machine's
	// network, beyond a round trip: its next keep-alive comes by then.
	quietAfterChange = proto.KeepAlive + 250*time.Millisecond
)

// Watch breaks the link when it can carry nothing any more: nothing is heard from the
// peer for too long; or this host has lost the link's local address, which TCP cannot
// survive; or this host or process has slept for so long that the peer has given the link
// up. It blocks until then, or until ctx ends. The dialer's end calls it to resume its
// transfer sooner than the idle timeout of the transport allows.
//
// Too long is [proto.QuietTimeout]. With a relay to fall back on it is
// [proto.QuietWithRelay], and [proto.PendingWithRelay] while pending reports that the
// peer has not acknowledged all of what this end has sent; nil is never. After a change of
// this machine's network it is hardly more than a second, until something is heard: the
// link may live on, as one over QUIC often does, or the peer's packets go astray.
func (l *Link) Watch(ctx context.Context, pending func() bool) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	changed := l.endpoint.NextChange()
	w := watch{checked: time.Now(), heard: l.conn.Heard(), owns: l.endpoint.Owns, limit: l.quietLimit(pending), patience: quietAfterChange + l.RTT}
	if addr := ipOf(l.conn.LocalAddr()); w.owns(addr) {
		w.addr = addr
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-changed:
			changed = l.endpoint.NextChange()
			err = w.noteChange(time.Now(), l.conn.Heard())
		case <-tick.C:
			err = w.check(time.Now(), l.conn.Heard())
		}
		if err != nil {
			l.elsewhere.Store(w.elsewhere)
			l.Break(err)
			return
		}
	}
}

// quietLimit returns how long the peer may be silent, as a function of the moment.
func (l *Link) quietLimit(pending func() bool) func() time.Duration {
	m := l.session.target.Meeting
	return func() time.Duration {
		switch {
		case m == nil || !m.Relayed():
			return proto.QuietTimeout
		case pending != nil && pending():
			return proto.PendingWithRelay
		}
		return proto.QuietWithRelay
	}
}

// watch is the state of [Link.Watch].
type watch struct {
	checked time.Time
	heard   uint64
	silent  int        // checks in a row at which nothing new was heard
	addr    netip.Addr // the local address; invalid if that is unknown
	owns    func(netip.Addr) bool
	limit   func() time.Duration // how long the peer may be silent

	changed  time.Time     // since when nothing was heard after a change of the network; zero without one
	patience time.Duration // from then on

	elsewhere bool // the link is over because this machine has come to another network
}

// noteChange notes a change of this machine's network. It returns why the link can carry
// nothing any more.
func (w *watch) noteChange(now time.Time, heard uint64) error {
	w.heard, w.changed = heard, now
	return w.checkAddr()
}

func (w *watch) checkAddr() error {
	if w.addr.IsValid() && !w.owns(w.addr) {
		w.elsewhere = true
		return proto.Errorf(proto.Timeout, "this host is not at %s any more", w.addr)
	}
	return nil
}

// check returns why the link can carry nothing any more. It compares wall-clock times,
// because Go's monotonic clock stops while Linux and macOS sleep. If somebody sets the
// wall clock forward by much, the link is made anew.
func (w *watch) check(now time.Time, heard uint64) error {
	slept := now.Round(0).Sub(w.checked.Round(0))
	w.checked = now
	if slept >= proto.IdleTimeout {
		return proto.Errorf(proto.Timeout, "this end has slept for %s", slept.Round(time.Second))
	}
	if heard != w.heard {
		w.heard, w.silent, w.changed = heard, 0, time.Time{}
		return nil
	}
	w.silent++
	if err := w.checkAddr(); err != nil {
		return err
	}
	if !w.changed.IsZero() && now.Sub(w.changed) >= w.patience {
		w.elsewhere = true
		return proto.Errorf(proto.Timeout, "nothing heard from the peer since the network of this host has changed")
	}
	if limit := w.limit(); time.Duration(w.silent)*watchInterval >= limit {
		return proto.Errorf(proto.Timeout, "nothing heard from the peer for %s", limit)
	}
	return nil
}

// ipOf returns the IP address of a socket's address, invalid if it has none.
func ipOf(a net.Addr) netip.Addr {
	var ip net.IP
	switch a := a.(type) {
	case *net.TCPAddr:
		ip = a.IP
	case *net.UDPAddr:
		ip = a.IP
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
