package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/nat"
	"mesh/proto/relay"
)

const (
	// requestTimeout bounds reading a request with its body, answerTimeout writing the
	// answer.
	requestTimeout = 10 * time.Second
	answerTimeout  = time.Minute
	// maxHeaderBytes bounds the head of a request.
	maxHeaderBytes = 8 << 10
	// DefaultMax is the default of [Options.Max].
	DefaultMax = 20000
)

// Options are the settings of a Server.
type Options struct {
	Key    *identity.Key
	Broker *broker.Broker
	// URLs are all that members use for the hub. Without any, each host name is taken.
	URLs []hub.URL
	// Proxies are the networks of proxies that end TLS before the hub.
	Proxies []netip.Prefix
	// Certificate, if it is set, is presented in place of the one of the hub's own key.
	Certificate func() (*tls.Certificate, error)
	// URL is what members use for the hub, for its admin.
	URL hub.URL
	// Ready, if it is set, returns why the store takes no more changes.
	Ready func() error
	// Export returns all facts as they are stored, and Drain begins the end of the hub
	// without waiting for it. Without them the API does not have them.
	Export func() ([]broker.Fact, error)
	Drain  func()
	// Relay, if it is set, has the doors of a relay at the hub's own port. The caller
	// drains it before [Server.Close].
	Relay *relay.Server
	// STUN, if it is set, is served at the hub's own port too, over TCP. [Server.Close] closes
	// it.
	STUN *nat.Server
	// Metrics, if it is set, counts what the server itself sees.
	Metrics *Metrics
	// Max is how many connections may be open; 0 stands for [DefaultMax].
	Max int
	// Software is the version that the hub tells.
	Software string
	// Log may be nil.
	Log *slog.Logger

	clientWait time.Duration // in place of the waits for clients, in tests
}

// Server is a hub that listens.
type Server struct {
	o    Options
	tls  *tls.Config
	http *http.Server

	mu     sync.Mutex // guards what follows
	door   *door      // nil before Serve
	conns  map[*conn]bool
	closed bool
	wg     sync.WaitGroup

	waits    waits
	refusals sampled // of requests
}

// New returns a server. It opens nothing.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Max == 0 {
		o.Max = DefaultMax
	}
	own, err := o.Key.Certificate()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, conns: make(map[*conn]bool), waits: defaultWaits, refusals: sampled{log: o.Log}}
	if o.clientWait > 0 {
		s.waits = waits{o.clientWait, o.clientWait, o.clientWait}
	}
	s.tls = tlsConfig(func() (*tls.Certificate, error) {
		if o.Certificate != nil {
			return o.Certificate()
		}
		return &own, nil
	})
	s.http = newHTTP(s.network(), s.waits, o.Log)
	return s, nil
}

func tlsConfig(certificate func() (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate() },
	}
}

// newHTTP returns what speaks HTTP behind a door.
func newHTTP(h http.Handler, w waits, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: limitHeaders(h), ReadHeaderTimeout: w.hello, IdleTimeout: w.hello, MaxHeaderBytes: maxHeaderBytes,
		// A WebSocket is free of these.
		ReadTimeout: requestTimeout, WriteTimeout: answerTimeout,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: withEntrance,
		// HTTP/2 has no upgrade.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
}

// Serve accepts connections of the listener until ctx ends, and closes it then. The
// connections that are logged in stay until [Server.Close].
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	door := newDoor(l, doorOptions{tls: s.tls, blocked: s.o.Broker.Blocked, isProxy: s.isProxy, relay: s.o.Relay, stun: s.o.STUN, log: s.o.Log, waits: s.waits})
	s.mu.Lock()
	s.door = door
	s.mu.Unlock()
	return serveBehind(ctx, door, s.http, &s.wg)
}

// serveBehind answers the requests that come in by the door, until ctx ends. The
// goroutine that accepts ends with the door, and is in wg.
func serveBehind(ctx context.Context, d *door, h *http.Server, wg *sync.WaitGroup) error {
	stop := context.AfterFunc(ctx, func() { _ = d.Close() })
	defer stop()
	wg.Go(d.run)
	err := h.Serve(d)
	_ = d.Close()
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Sweep calls the broker's sweep until ctx ends.
func (s *Server) Sweep(ctx context.Context) {
	tick := time.NewTicker(broker.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.o.Broker.Sweep()
		case <-ctx.Done():
			return
		}
	}
}

// Open returns how many connections are logged in.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// answerGrace is how long Close waits for requests that are being answered.
const answerGrace = time.Second

// Close closes all connections and waits for their goroutines. A request that is being
// answered, as one for the drain, gets its answer first.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), answerGrace)
	defer cancel()
	_ = s.http.Shutdown(ctx)
	_ = s.http.Close()
	if s.o.STUN != nil {
		s.o.STUN.Close()
	}
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close(hub.CloseRestart, "the hub ends")
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// add takes a connection that is logged in, unless the server is closed or full.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= s.o.Max {
		return false
	}
	s.conns[c] = true
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// isProxy reports whether the address is that of a proxy.
func (s *Server) isProxy(a netip.Addr) bool {
	return slices.ContainsFunc(s.o.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}
