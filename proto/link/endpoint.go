package link

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/udp"
)

// Endpoint is this process on the network: a node key and one UDP socket, for
// listening, dialling, or both.
type Endpoint struct {
	key       *identity.Key
	cert      tls.Certificate
	transport *quic.Transport
	log       *slog.Logger
	unproven  unproven
	watchers  watchers
}

// Open makes an endpoint of a socket, which it owns from then on. What befalls
// it and who is turned away goes to log.
func Open(key *identity.Key, conn net.PacketConn, log *slog.Logger) (*Endpoint, error) {
	cert, err := key.Certificate()
	if err != nil {
		conn.Close()
		return nil, err
	}
	e := &Endpoint{key: key, cert: cert, log: log}
	if u, ok := conn.(*udp.Conn); ok {
		u.OnUnreachable = e.watchers.unreachable
	}
	e.transport = &quic.Transport{
		Conn:                conn,
		VerifySourceAddress: func(net.Addr) bool { return e.unproven.count() >= proto.RetryUnproven },
		ConnContext:         e.unproven.admitQUIC,
	}
	return e, nil
}

// Addr returns the socket's address.
func (e *Endpoint) Addr() net.Addr { return e.transport.Conn.LocalAddr() }

// Close closes the socket. It tells no peer: close links first.
func (e *Endpoint) Close() error {
	err := e.transport.Close()
	if cerr := e.transport.Conn.Close(); err == nil {
		err = cerr
	}
	return err
}

// keep makes a proven connection end when the peer's process is gone.
func (e *Endpoint) keep(l *Link) *Link {
	remove := e.watchers.add(&watcher{
		addr:  l.conn.RemoteAddr,
		heard: l.heard,
		gone:  func() { l.Close(proto.Errorf(proto.Truncated, "the peer's process is gone")) },
	})
	context.AfterFunc(l.conn.Context(), remove)
	return l
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
		VerifyConnection: func(state tls.ConnectionState) error {
			id, err := identity.OfCertificates(state.PeerCertificates)
			if err != nil {
				return err
			}
			return verify(id)
		},
	}
}

// quicConfig is the part of the QUIC configuration that both roles share.
func quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:       proto.DialTimeout,
		MaxIdleTimeout:             proto.IdleTimeout,
		KeepAlivePeriod:            proto.KeepAlive,
		MaxStreamReceiveWindow:     maxStreamWindow,
		MaxConnectionReceiveWindow: maxConnectionWindow,
		MaxIncomingStreams:         -1,
		MaxIncomingUniStreams:      -1,
	}
}

// The QUIC windows of a proven link. A transfer never has more than
// [proto.WindowBytes] outstanding, so more would bring nothing.
const (
	initialWindow       = 4 << 20
	maxStreamWindow     = proto.WindowBytes + 1<<20
	maxConnectionWindow = maxStreamWindow + 1<<20
)
