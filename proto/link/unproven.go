package link

import (
	"context"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"mesh/proto"
)

// unproven counts the connections that have not proven themselves yet, in all
// and for each source. The zero value is ready to use.
type unproven struct {
	mu     sync.Mutex
	total  int
	source map[string]int
}

// unprovenKey is the context key of a connection's release function.
type unprovenKey struct{}

func (u *unproven) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.total
}

// admit is a [quic.Transport.ConnContext]: it refuses a connection that is one
// too many. It counts until proven is called with the connection's context, or
// the connection ends.
func (u *unproven) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	host, _, err := net.SplitHostPort(info.RemoteAddr.String())
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.total >= proto.MaxUnproven || u.source[host] >= proto.MaxUnprovenPerSource {
		return nil, proto.Errorf(proto.Busy, "too many connections that have not proven themselves")
	}
	if u.source == nil {
		u.source = make(map[string]int)
	}
	u.total++
	u.source[host]++
	release := sync.OnceFunc(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.total--
		if u.source[host]--; u.source[host] == 0 {
			delete(u.source, host)
		}
	})
	context.AfterFunc(ctx, release)
	return context.WithValue(ctx, unprovenKey{}, release), nil
}

// proven takes a connection out of the count.
func proven(ctx context.Context) {
	if release, ok := ctx.Value(unprovenKey{}).(func()); ok {
		release()
	}
}
