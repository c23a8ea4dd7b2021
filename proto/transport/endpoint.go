package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/udp"
)

// Sockets are what an endpoint has of the network.
type Sockets struct {
	// UDP carries QUIC, for listening and for dialling. Nil for no QUIC.
	UDP net.PacketConn
	// TCP takes connections. Nil for none.
	TCP net.Listener
	// DialTCP makes connections. Nil for none.
	DialTCP func(ctx context.Context, network, addr string) (net.Conn, error)
	// Interfaces returns the addresses of this host's interfaces, each with its
	// subnet. Nil to ask the system.
	Interfaces func() ([]netip.Prefix, error)
}

// Endpoint is this process on the network: a node key and its sockets, for
// listening, dialling, or both.
type Endpoint struct {
	// Window is what this end announces: how many bytes of a transfer it may
	// have to hold. 0 means [proto.WindowBytes]. It is set before the first
	// connection.
	Window int64

	cert     tls.Certificate
	sockets  Sockets
	quic     *quic.Transport // nil without UDP
	log      *slog.Logger
	unproven unproven
	watchers watchers

	closed context.Context // when its sockets are
	close  context.CancelFunc
}

// Open makes an endpoint of sockets, which it owns from then on. What befalls
// it and who is turned away goes to log.
func Open(key *identity.Key, sockets Sockets, log *slog.Logger) (*Endpoint, error) {
	e := &Endpoint{sockets: sockets, log: log}
	e.closed, e.close = context.WithCancel(context.Background())
	var err error
	if e.cert, err = key.Certificate(); err != nil {
		_ = e.Close()
		return nil, err
	}
	if u, ok := sockets.UDP.(*udp.Conn); ok {
		u.OnUnreachable = e.watchers.unreachable
	}
	if sockets.UDP != nil {
		e.quic = &quic.Transport{
			Conn:                sockets.UDP,
			VerifySourceAddress: func(net.Addr) bool { return e.unproven.count() >= proto.RetryUnproven },
			ConnContext:         e.unproven.admitQUIC,
		}
	}
	return e, nil
}

// Addr returns the address of the UDP socket, or where there is none, that of
// the TCP one.
func (e *Endpoint) Addr() net.Addr {
	if e.sockets.UDP != nil {
		return e.sockets.UDP.LocalAddr()
	}
	return e.sockets.TCP.Addr()
}

// AcceptTCP makes the next Listen accept connections of l too, which the endpoint
// owns from then on. It must not run at the same time as Listen or Close.
func (e *Endpoint) AcceptTCP(l net.Listener) { e.sockets.TCP = l }

// Close closes the sockets. It tells no peer: close links first.
func (e *Endpoint) Close() error {
	e.close()
	var errs []error
	if e.quic != nil {
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

// Has reports whether connections over via can be made.
func (e *Endpoint) Has(via string) bool {
	if via == proto.ViaTCP {
		return e.sockets.DialTCP != nil
	}
	return e.quic != nil
}

// Keep takes on a connection whose peer has proven itself. A QUIC connection ends
// when the peer's process is gone, which calls gone; over TCP the peer's host says
// so by itself. When the sockets are closed, a TCP connection ends with closed.
func (e *Endpoint) Keep(c Conn, gone func(), closed func(error)) {
	c.Prove()
	if c.Via() != proto.ViaQUIC {
		forget := context.AfterFunc(e.closed, func() { closed(net.ErrClosed) })
		context.AfterFunc(c.Context(), func() { forget() })
		return
	}
	remove := e.watchers.add(&watcher{addr: c.RemoteAddr, heard: c.Heard, gone: gone})
	context.AfterFunc(c.Context(), remove)
}

// tlsConfig is the part of the TLS configuration that both roles share. A
// certificate here says nothing but a key, so the chain is not verified: verify
// is, which sees what the peer has proven.
func (e *Endpoint) tlsConfig(verify func(identity.ID) error) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{proto.ALPN},
		Certificates:           []tls.Certificate{e.cert},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection checks the key instead
		SessionTicketsDisabled: true,

		DynamicRecordSizingDisabled: true, // small first records gain nothing here
		VerifyConnection: func(state tls.ConnectionState) error {
			if state.NegotiatedProtocol != proto.ALPN { // over TCP, TLS lets a peer pass that names none
				return proto.Errorf(proto.Version, "the peer does not speak %s", proto.ALPN)
			}
			id, err := identity.OfCertificates(state.PeerCertificates)
			if err != nil {
				return err
			}
			return verify(id)
		},
	}
}

// WindowBytes returns what this end announces.
func (e *Endpoint) WindowBytes() int64 {
	if e.Window == 0 {
		return proto.WindowBytes
	}
	return e.Window
}

// quicConfig is the part of the QUIC configuration that both roles share. A
// transfer never has more outstanding than its window, so more than a little
// above that would bring nothing.
func (e *Endpoint) quicConfig() *quic.Config {
	window := uint64(e.WindowBytes())
	return &quic.Config{
		HandshakeIdleTimeout:       proto.DialTimeout,
		MaxIdleTimeout:             proto.IdleTimeout,
		KeepAlivePeriod:            proto.KeepAlive,
		MaxStreamReceiveWindow:     window + 1<<20,
		MaxConnectionReceiveWindow: window + 2<<20,
		MaxIncomingStreams:         -1,
		MaxIncomingUniStreams:      -1,
	}
}

// initialWindow is the QUIC window of a proven link, which quic-go enlarges
// from there.
const initialWindow = 4 << 20

// Unreachable takes the message that nobody listens at addr. The UDP socket
// calls it.
func (e *Endpoint) Unreachable(addr netip.AddrPort) { e.watchers.unreachable(addr) }
