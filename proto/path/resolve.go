package path

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"mesh/proto"
)

// maxLookups bounds the host names that are looked up at the same time.
const maxLookups = 8

// hostPort is a HOST:PORT with the number of its port.
type hostPort struct {
	host string
	port uint16
}

// parseAddrs splits each HOST:PORT. It looks no host up.
func parseAddrs(ctx context.Context, addrs []string) ([]hostPort, error) {
	var out []hostPort
	for _, a := range addrs {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			return nil, &proto.Error{Code: proto.Usage, Err: err}
		}
		n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
		if err != nil {
			return nil, &proto.Error{Code: proto.Usage, Err: err}
		}
		out = append(out, hostPort{host, uint16(n)})
	}
	return out, nil
}

// lookup is the result for one host.
type lookup struct {
	addrs []netip.AddrPort
	err   error
}

// resolve looks up all hosts at the same time, and sends one result for each. It
// closes the channel when it has sent the last one. The caller must read them all.
func resolve(ctx context.Context, hosts []hostPort, ask func(context.Context, string) ([]netip.Addr, error)) <-chan lookup {
	if ask == nil {
		ask = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	out := make(chan lookup)
	slots := make(chan struct{}, maxLookups)
	var wg sync.WaitGroup
	for _, h := range hosts {
		wg.Go(func() {
			if ip, err := netip.ParseAddr(h.host); err == nil {
				out <- lookup{addrs: []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), h.port)}}
				return
			}
			slots <- struct{}{}
			found := h.lookUp(ctx, ask)
			<-slots
			out <- found
		})
	}
	go func() {
		wg.Wait()
		close(out)
	}()
	return out
}

func (h hostPort) lookUp(ctx context.Context, ask func(context.Context, string) ([]netip.Addr, error)) (found lookup) {
	ips, err := ask(ctx, h.host)
	if err != nil {
		if e, ok := errors.AsType[*net.DNSError](err); ok {
			err = errors.New(e.Err) // without the host, which is named below
		}
		return lookup{err: proto.Errorf(proto.Unreachable, "look up %s: %w", h.host, err)}
	}
	for _, ip := range ips {
		found.addrs = append(found.addrs, netip.AddrPortFrom(ip.Unmap(), h.port))
	}
	return found
}
