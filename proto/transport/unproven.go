package transport

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
)

// unproven counts the connections that have not proven themselves yet, in all
// and for each source (see [sourceOf]). The zero value is ready to use.
type unproven struct {
	mu     sync.Mutex
	total  int
	source map[netip.Prefix]int
}

// Admission is one connection's place among the unproven.
type Admission struct {
	At      time.Time
	Release func()
}

// admissionKey is the context key of a connection's admission.
type admissionKey struct{}

func (u *unproven) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.total
}

// admit takes a place for a connection from addr, or reports that there is none.
// It counts until it is released.
func (u *unproven) admit(addr net.Addr) (Admission, error) {
	source, err := sourceOf(addr)
	if err != nil {
		return Admission{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.total >= proto.MaxUnproven || u.source[source] >= proto.MaxUnprovenPerSource {
		return Admission{}, proto.Errorf(proto.Busy, "too many connections that have not proven themselves")
	}
	if u.source == nil {
		u.source = make(map[netip.Prefix]int)
	}
	u.total++
	u.source[source]++
	return Admission{time.Now(), sync.OnceFunc(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.total--
		if u.source[source]--; u.source[source] == 0 {
			delete(u.source, source)
		}
	})}, nil
}

// admitQUIC is a [quic.Transport.ConnContext]: the place is released at the
// latest when the connection ends.
func (u *unproven) admitQUIC(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	a, err := u.admit(info.RemoteAddr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, a.Release)
	return context.WithValue(ctx, admissionKey{}, a), nil
}

// sourceOf returns who counts as one: a host with IPv4, a network with IPv6,
// where one host has as many addresses as it likes.
func sourceOf(addr net.Addr) (netip.Prefix, error) {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}, err
	}
	ip := ap.Addr().Unmap()
	if ip.Is6() {
		return ip.Prefix(64)
	}
	return ip.Prefix(ip.BitLen())
}
