package attacker

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// Conn is a connection with its one stream, over QUIC or over TLS on TCP.
type Conn struct {
	io.ReadWriter
	state tls.ConnectionState
	close func(code uint32)
}

// Closed is the error of a read from a connection that the peer has closed.
type Closed uint32

func (c Closed) Error() string { return fmt.Sprintf("closed with 0x%x", uint32(c)) }

// Status returns the exit status in the code of a close; -1 if err is something else.
func Status(err error) int {
	var c Closed
	if app, ok := errors.AsType[*quic.ApplicationError](err); ok {
		return int(app.ErrorCode) - 0x4d00
	}
	if errors.As(err, &c) {
		return int(c) - 0x4d00
	}
	return -1
}

// Close closes the connection with a code.
func (c *Conn) Close(code uint32) { c.close(code) }

// Peer returns the node key of the other end.
func (c *Conn) Peer() ed25519.PublicKey {
	return c.state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
}

// Copied returns the certificate of the other end, with another key than its own.
func (c *Conn) Copied() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{c.state.PeerCertificates[0].Raw}, PrivateKey: NewKey()}
}

// Certificate returns a certificate of a node key.
func Certificate(key ed25519.PrivateKey) tls.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Config returns the TLS settings of an end with that certificate. As they are, a dialer
// accepts no listener: a node certificate has no authority, and the caller decides
// whether to check it.
func Config(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, NextProtos: []string{"mesh/1"}, MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
	}
}

// publicOf returns the node key of the certificate in settings.
func publicOf(settings *tls.Config) ed25519.PublicKey {
	return settings.Certificates[0].PrivateKey.(ed25519.PrivateKey).Public().(ed25519.PublicKey)
}

var quicConfig = &quic.Config{KeepAlivePeriod: time.Second, MaxIdleTimeout: 8 * time.Second, InitialStreamReceiveWindow: 1 << 26, InitialConnectionReceiveWindow: 1 << 26}

// FarQUIC is QUIC to a listener that is not near: what the dialer sends is delayed.
const FarQUIC = "far quic"

// Dial connects to a listener, "tcp", "quic" or FarQUIC, and opens the stream.
func Dial(ctx context.Context, via string, addr netip.AddrPort, settings *tls.Config) (*Conn, error) {
	if via == "tcp" {
		c, err := (&tls.Dialer{Config: settings}).DialContext(ctx, "tcp", addr.String())
		if err != nil {
			return nil, err
		}
		return overTCP(c.(*tls.Conn)), nil
	}
	socket, err := net.ListenPacket("udp", ":0")
	if err != nil {
		return nil, err
	}
	if via == FarQUIC {
		socket = newDelayed(socket)
	}
	c, err := quic.Dial(ctx, socket, net.UDPAddrFromAddrPort(addr), settings, quicConfig)
	if err != nil {
		socket.Close()
		return nil, err
	}
	context.AfterFunc(c.Context(), func() { socket.Close() })
	s, err := c.OpenStream()
	return overQUIC(c, s), err
}

func overQUIC(c *quic.Conn, s *quic.Stream) *Conn {
	return &Conn{s, c.ConnectionState().TLS, func(code uint32) { _ = c.CloseWithError(quic.ApplicationErrorCode(code), "") }}
}

// Listener accepts connections over QUIC and TCP at one port.
type Listener struct {
	Addr  netip.AddrPort
	conns chan *Conn
	tcp   net.Listener
	quic  *quic.Listener
}

// Listen listens on a free port of 127.0.0.1, or at the given address.
func Listen(addr string, cert tls.Certificate) (*Listener, error) {
	var l *Listener
	var err error
	for range 20 { // the port may be free over TCP alone
		var t net.Listener
		if t, err = tls.Listen("tcp", addr, Config(cert)); err != nil {
			continue
		}
		l = &Listener{Addr: netip.MustParseAddrPort(t.Addr().String()), conns: make(chan *Conn, 100), tcp: t}
		if l.quic, err = quic.ListenAddr(l.Addr.String(), Config(cert), quicConfig); err == nil {
			go l.acceptTCP()
			go l.acceptQUIC()
			return l, nil
		}
		t.Close()
	}
	return nil, err
}

// Close stops listening.
func (l *Listener) Close() { _, _ = l.tcp.Close(), l.quic.Close() }

// Accept returns the next connection.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *Listener) acceptTCP() {
	for {
		c, err := l.tcp.Accept()
		if err != nil {
			return
		}
		go func() {
			if c.(*tls.Conn).Handshake() == nil {
				l.conns <- overTCP(c.(*tls.Conn))
			}
		}()
	}
}

func (l *Listener) acceptQUIC() {
	for {
		c, err := l.quic.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			if s, err := c.AcceptStream(context.Background()); err == nil {
				l.conns <- overQUIC(c, s)
			}
		}()
	}
}

// blocks is a stream in blocks over TCP.
type blocks struct {
	net.Conn
	left uint32

	mu sync.Mutex // of the writers: the keep-alives are one
}

func overTCP(c *tls.Conn) *Conn {
	b := &blocks{Conn: c}
	return &Conn{b, c.ConnectionState(), func(code uint32) { _, _ = b.control(code), c.Close() }}
}

func (b *blocks) Read(p []byte) (int, error) {
	for b.left == 0 {
		var h [8]byte
		if _, err := io.ReadFull(b.Conn, h[:4]); err != nil {
			return 0, err
		}
		if b.left = binary.BigEndian.Uint32(h[:]); b.left > 0 {
			break
		}
		if _, err := io.ReadFull(b.Conn, h[4:]); err != nil {
			return 0, err
		}
		switch code := binary.BigEndian.Uint32(h[4:]); code {
		case 0:
			return 0, io.EOF
		case 1:
		default:
			return 0, Closed(code)
		}
	}
	n, err := b.Conn.Read(p[:min(len(p), int(b.left))])
	b.left -= uint32(n)
	return n, err
}

func (b *blocks) Write(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n < len(p) && err == nil {
		part := p[n:min(len(p), n+1<<20)]
		_, err = b.Conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(part))), part...))
		n += len(part)
	}
	return n, err
}

func (b *blocks) control(code uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err := b.Conn.Write(binary.BigEndian.AppendUint32(make([]byte, 4), code))
	return err
}

// KeepAlive sends keep-alives over TCP until a write fails. Over QUIC they are sent
// without it.
func (c *Conn) KeepAlive() {
	b, ok := c.ReadWriter.(*blocks)
	if !ok {
		return
	}
	go func() {
		for tick := time.NewTicker(time.Second); b.control(1) == nil; <-tick.C {
		}
	}()
}
