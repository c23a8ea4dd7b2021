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

// halfOpen counts the connections whose peer has not authenticated itself yet, in
// all and for each source (see [sourceOf]). The zero value is ready to use.
type halfOpen struct {
	mu     sync.Mutex
	total  int
	source map[netip.Prefix]int
}

// admission is the place of one half-open connection.
type admission struct {
	at      time.Time
	release func()
}

// admissionKey is the context key of a connection's admission.
type admissionKey struct{}

func (h *halfOpen) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total
}

// admit takes a place for a connection from addr, or reports that there is none.
// The place is taken until it is released.
func (h *halfOpen) admit(addr net.Addr) (admission, error) {
	source, err := sourceOf(addr)
	if err != nil {
		return admission{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.total >= proto.MaxHalfOpen || h.source[source] >= proto.MaxHalfOpenPerSource {
		return admission{}, proto.Errorf(proto.Busy, "too many unauthenticated connections")
	}
	if h.source == nil {
		h.source = make(map[netip.Prefix]int)
	}
	h.total++
	h.source[source]++
	return admission{time.Now(), sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.total--
		if h.source[source]--; h.source[source] == 0 {
			delete(h.source, source)
		}
	})}, nil
}

// admitQUIC is a [quic.Transport.ConnContext]. The place is released when the
// connection ends, or before.
func (h *halfOpen) admitQUIC(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	a, err := h.admit(info.RemoteAddr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, a.release)
	return context.WithValue(ctx, admissionKey{}, a), nil
}

// sourceOf returns the prefix whose connections are counted together: an IPv4
// address, or an IPv6 network of 64 bits, in which one host has as many addresses
// as it likes.
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
