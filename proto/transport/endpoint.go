package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/nat"
	"mesh/proto/udp"
)

// Sockets are the sockets of an endpoint.
type Sockets struct {
	// UDP carries QUIC, for listening and for dialling. Nil for no QUIC.
	UDP net.PacketConn
	// TCP accepts connections. Nil for none.
	TCP net.Listener
	// DialTCP makes connections, from any port. Nil for none.
	DialTCP func(ctx context.Context, network, addr string) (net.Conn, error)
	// Interfaces returns the addresses of this host's interfaces, each with its
	// subnet. Nil to ask the system.
	Interfaces func() ([]netip.Prefix, error)
	// ThroughTunnel is [nat.ThroughTunnel] where Interfaces is set; nil for no tunnels.
	ThroughTunnel func(netip.Addr) bool
}

// Endpoint is this process on the network: a node key and its sockets. It may dial
// and listen at the same time, on one UDP port and one TCP port.
type Endpoint struct {
	// Window is the flow-control window that this end announces, in bytes: how much
	// of a transfer it may have to hold. 0 means [proto.WindowBytes]. It is set
	// before the first connection.
	Window int64
	// Fault, if set, is called when this node fails to take a peer because of itself,
	// for example without a free file descriptor. Strangers may cause any number of
	// calls. It is set before the first connection.
	Fault func(error)
	// Changed, if set, returns a channel that is closed at the next change of this
	// machine's network. It is set before the first connection.
	Changed func() <-chan struct{}
	// Refused, if set, is called for each peer that is turned away. It is set before the
	// first connection.
	Refused func(error)
	// Budget limits the memory for what all peers together make this endpoint hold.
	Budget Budget

	cert     tls.Certificate
	sockets  Sockets
	quic     *quic.Transport // nil without UDP
	mux      mux
	log      *slog.Logger
	halfOpen *halfOpen
	tally    tally
	watchers watchers
	closers  closers
	taking   taking
	mapped   mapped
}

// Open makes an endpoint of sockets, which it closes when it is closed. It logs
// the connections that it turns away to log.
func Open(key *identity.Key, sockets Sockets, log *slog.Logger) (*Endpoint, error) {
	e := &Endpoint{sockets: sockets, log: log, halfOpen: newHalfOpen()}
	var err error
	if e.cert, err = key.Certificate(); err != nil {
		_ = e.Close()
		return nil, err
	}
	if u, ok := sockets.UDP.(*udp.Conn); ok {
		u.OnUnreachable = e.watchers.suspect
	}
	if sockets.UDP != nil {
		e.quic = &quic.Transport{
			Conn:                sockets.UDP,
			VerifySourceAddress: func(net.Addr) bool { return e.halfOpen.count() >= proto.RetryHalfOpen },
			ConnContext:         e.halfOpen.admitQUIC,
		}
	}
	return e, nil
}

// Fail reports that this node failed to take a peer because of itself. A nil err is not
// reported.
func (e *Endpoint) Fail(err error) {
	if err != nil && e.Fault != nil {
		e.Fault(err)
	}
}

// Addr returns the address of the UDP socket, or without one that of the TCP
// socket.
func (e *Endpoint) Addr() net.Addr {
	if e.sockets.UDP != nil {
		return e.sockets.UDP.LocalAddr()
	}
	return e.sockets.TCP.Addr()
}

// Mux returns the reader of the STUN messages at the UDP socket, which the first call
// starts. It is nil without such a socket.
func (e *Endpoint) Mux() *nat.Mux {
	if e.quic == nil {
		return nil
	}
	return e.mux.of(e.quic)
}

// StartedMux returns what Mux has returned, nil before Mux was called.
func (e *Endpoint) StartedMux() *nat.Mux { return e.mux.reader.Load() }

// AcceptTCP makes the next Listen accept the connections of l too, which the endpoint
// closes when it is closed. The caller must not call it during Listen or Close.
func (e *Endpoint) AcceptTCP(l net.Listener) { e.sockets.TCP = l }

// Close closes the sockets, and with them the connections. No peer is told: close
// the connections first.
func (e *Endpoint) Close() error {
	e.closers.closeAll(net.ErrClosed)
	e.tally.flush(e.log)
	var errs []error
	if e.quic != nil {
		e.mux.close()
		errs = append(errs, e.quic.Close())
	}
	if e.sockets.UDP != nil {
		errs = append(errs, e.sockets.UDP.Close())
	}
	if e.sockets.TCP != nil {
		errs = append(errs, e.sockets.TCP.Close())
	}
	return errors.Join(errs...)
}

// Has reports whether the endpoint can dial over a transport.
func (e *Endpoint) Has(via string) bool {
	if via == proto.ViaTCP {
		return e.sockets.DialTCP != nil
	}
	return e.quic != nil
}

// WindowBytes returns the flow-control window that this end announces.
func (e *Endpoint) WindowBytes() int64 {
	if e.Window == 0 {
		return proto.WindowBytes
	}
	return e.Window
}

// Authenticated says that the peer of a connection has proven that it may use this
// node. From then on, gone is called when the process of a QUIC peer is gone (over
// TCP the peer's host ends the connection by itself), and closed when the endpoint
// closes under a TCP connection (QUIC ends its connections by itself).
func (e *Endpoint) Authenticated(c Conn, gone func(), closed func(error)) {
	c.SetAuthenticated()
	var remove func()
	if c.Via() == proto.ViaQUIC {
		remove = e.watchers.add(&watcher{addr: c.RemoteAddr, heard: c.Heard, gone: gone})
	} else {
		remove = e.closers.add(closed)
	}
	context.AfterFunc(c.Context(), remove)
}

// Unreachable handles a message that nobody listens at addr, as an ICMP error says.
// The UDP socket calls it.
func (e *Endpoint) Unreachable(addr netip.AddrPort) { e.watchers.suspect(addr) }

// closers are the functions to call when an endpoint closes. The zero value is
// ready to use.
type closers struct {
	mu  sync.Mutex
	err error // once closed
	all map[*func(error)]struct{}
}

// add adds a function, which is called at once if the endpoint is closed.
func (c *closers) add(f func(error)) (remove func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f(c.err)
		return func() {}
	}
	if c.all == nil {
		c.all = make(map[*func(error)]struct{})
	}
	c.all[&f] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.all, &f)
	}
}

// closeAll calls each function, in a goroutine of its own: it may block.
func (c *closers) closeAll(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	for f := range c.all {
		go (*f)(err)
	}
	c.all = nil
}

// tlsConfig is the part of the TLS configuration that both roles share. A
// certificate carries a key and nothing else, so no chain is verified. TLS proves
// that the peer has the key, and verify says whether that is the right one.
func (e *Endpoint) tlsConfig(verify func(identity.ID) error) *tls.Config {
	cfg := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{proto.ALPNMinor5, proto.ALPNMinor4, proto.ALPNMinor3, proto.ALPNMinor2, proto.ALPNMinor1, proto.ALPN}, // the listener takes the first one that the dialer knows
		Certificates:           []tls.Certificate{e.cert},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,

		DynamicRecordSizingDisabled: true, // small first records gain nothing here
	}
	identity.VerifyBy(cfg, func(state tls.ConnectionState) error {
		if _, ok := minorVersion(state); !ok { // crypto/tls accepts a peer that offers no protocol
			return proto.Errorf(proto.Version, "the peer does not speak %s", proto.ALPN)
		}
		id, err := identity.OfCertificates(state.PeerCertificates)
		if err != nil {
			return err
		}
		return verify(id)
	})
	return cfg
}

// MinorVersion returns the minor version of the protocol that the ends of a connection have
// agreed on.
func MinorVersion(c Conn) int {
	minor, _ := minorVersion(c.TLS())
	return minor
}

func minorVersion(state tls.ConnectionState) (minor int, ok bool) {
	switch state.NegotiatedProtocol {
	case proto.ALPN:
		return 0, true
	case proto.ALPNMinor1:
		return 1, true
	case proto.ALPNMinor2:
		return 2, true
	case proto.ALPNMinor3:
		return 3, true
	case proto.ALPNMinor4:
		return 4, true
	case proto.ALPNMinor5:
		return 5, true
	}
	return 0, false
}

// quicConfig is the part of the QUIC configuration that both roles share. A
// transfer never has more unacknowledged bytes than its window, so the QUIC windows
// need be little larger.
func (e *Endpoint) quicConfig() *quic.Config {
	window := uint64(e.WindowBytes())
	return &quic.Config{
		HandshakeIdleTimeout:       proto.DialTimeout,
		MaxIdleTimeout:             proto.IdleTimeout,
		KeepAlivePeriod:            proto.KeepAlive,
		MaxStreamReceiveWindow:     window + 1<<20,
		MaxConnectionReceiveWindow: window + 2<<20,

		AllowConnectionWindowIncrease: e.Budget.mayGrow,

		MaxIncomingStreams:    -1,
		MaxIncomingUniStreams: -1,
	}
}

// initialWindow is the QUIC window of an authenticated connection, in bytes, which
// quic-go enlarges from there.
const initialWindow = 4 << 20
