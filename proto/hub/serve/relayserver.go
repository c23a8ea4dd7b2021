package serve

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/relay"
)

// toRelay hands a request to a relay's door for WebSockets. The relay counts it under the
// address from, which is not that of a proxy before the hub.
func toRelay(to *relay.Server, w http.ResponseWriter, r *http.Request, from netip.AddrPort) {
	if e := entranceOf(r.Context()); e != nil {
		e.door.leave(e) // the relay has limits of its own
	}
	r = r.WithContext(r.Context()) // a copy
	r.RemoteAddr = from.String()
	to.ServeWebSocket(w, r)
}

// ServePlain accepts connections of a listener that is for the relay's plain door alone,
// until ctx ends, and closes it then.
func (s *Server) ServePlain(ctx context.Context, l net.Listener) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		switch {
		case err == nil && s.blocked(c.RemoteAddr()):
			_ = c.Close()
		case err == nil:
			wg.Go(func() { s.o.Relay.ServePlain(c) })
		case ctx.Err() != nil:
			return
		default:
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
		}
	}
}

func (s *Server) blocked(from net.Addr) bool {
	at, err := netip.ParseAddrPort(from.String())
	return err != nil || s.o.Broker.Blocked(at.Addr())
}

// RelayOptions are the settings of a RelayServer.
type RelayOptions struct {
	// Key is the relay's own: the hub's URL for it has the public half. Certificate, if it
	// is set, is presented in place of the one of that key.
	Key         *identity.Key
	Certificate func() (*tls.Certificate, error)
	Relay       *relay.Server
	// Log may be nil.
	Log *slog.Logger
}

// RelayServer is a relay without a hub, on the network. Its doors are those of a hub, at
// one port, and it answers GET /healthz.
type RelayServer struct {
	o        RelayOptions
	tls      *tls.Config
	http     *http.Server
	draining atomic.Bool
	wg       sync.WaitGroup
}

// NewRelayServer returns a server. It opens nothing.
func NewRelayServer(o RelayOptions) (*RelayServer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Certificate == nil {
		own, err := o.Key.Certificate()
		if err != nil {
			return nil, err
		}
		o.Certificate = func() (*tls.Certificate, error) { return &own, nil }
	}
	s := &RelayServer{o: o, tls: tlsConfig(o.Certificate)}
	s.http = newHTTP(http.HandlerFunc(s.answer), defaultWaits, o.Log)
	return s, nil
}

// Serve accepts connections of the listener until ctx ends, and closes it then. Pairs go
// on until [RelayServer.Drain] has ended them.
func (s *RelayServer) Serve(ctx context.Context, l net.Listener) error {
	none := func(netip.Addr) bool { return false }
	return serveBehind(ctx, newDoor(l, doorOptions{tls: s.tls, blocked: none, isProxy: none, relay: s.o.Relay, log: s.o.Log, waits: defaultWaits}), s.http, &s.wg)
}

func (s *RelayServer) answer(w http.ResponseWriter, r *http.Request) {
	e := entranceOf(r.Context())
	switch {
	case r.Header.Get("Origin") != "":
		writeProblem(w, refuse(hub.CodeBadOrigin, "a relay is not for browsers"))
	case r.URL.Path == "/healthz" && s.draining.Load():
		w.Header().Set("Connection", "close")
		writeProblem(w, refuse(hub.CodeDraining, "the relay is about to end"))
	case r.URL.Path == "/healthz":
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == relay.PathWebSocket && e != nil:
		toRelay(s.o.Relay, w, r, e.at)
	default:
		writeProblem(w, refuse(hub.CodeNotFound, "a relay has nothing at this path"))
	}
}

// Drain ends the relay: see [relay.Server.Drain]. From then on it says that it is not
// healthy, so that hubs name another one.
func (s *RelayServer) Drain(ctx context.Context) {
	s.draining.Store(true)
	s.o.Relay.Drain(ctx)
}

// Close ends the requests that are being answered, and waits until the end of what Serve
// has begun. The relay must have drained, and the context of Serve have ended.
func (s *RelayServer) Close() {
	_ = s.http.Close()
	s.wg.Wait()
}
