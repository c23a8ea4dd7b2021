// Package link makes links: authenticated connections between two node keys,
// each with one stream, over QUIC or over TLS on TCP.
package link

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// Link is a link whose two ends have proven themselves to each other. Read,
// Write and Send are its stream's; one goroutine may read while another writes. Their
// errors are [proto.Error]s, except [io.EOF] when the peer has ended its side.
type Link struct {
	// Peer is the other end's node id.
	Peer identity.ID
	// Transfer names what crosses the link, in both ends' logs and receipts.
	Transfer wire.TransferID
	// Granted is what the dialer may do: see [proto.Caps].
	Granted proto.Caps
	// Kind is that of the transfers, [wire.KindPipe], [wire.KindFiles] or [wire.KindTTY].
	Kind string
	// Window is what we have said that we can hold of a transfer, PeerWindow
	// what the peer has; in bytes.
	Window, PeerWindow int64
	// RTT is how long the peer took for its part of the handshake. It is known to
	// the dialer only.
	RTT time.Duration
	// Dialed tells the dialer's end from the listener's.
	Dialed bool
	// Resumed says that the transfer may have gone over another link before: a dial
	// whose answer did not come had begun it. It is known to the dialer only.
	Resumed bool
	// Token is the id of the token that the dialer used, nil for a key. It is
	// known to the listener only.
	Token *token.ID

	conn    transport.Conn
	session *session
	flow    bool // one of several of the session: see AddFlow

	closeOnce sync.Once
	mu        sync.Mutex
	cause     error // of our own closing
}

// Addr returns the peer's address as it is now.
func (l *Link) Addr() net.Addr { return l.conn.RemoteAddr() }

// Via returns what carries the link: [proto.ViaQUIC] or [proto.ViaTCP].
func (l *Link) Via() string { return l.conn.Via() }

// Path returns the path that the link's packets take now. It changes when the peer
// of a QUIC connection moves to another address.
func (l *Link) Path() path.Path { return path.Of(l.session.endpoint.Endpoint, l.conn) }

// LossBound reports whether what we send is slowed down by every lost packet, so
// that several flows may bring more than one.
func (l *Link) LossBound() bool { return l.conn.LossBound() }

// Read reads from the stream.
func (l *Link) Read(p []byte) (int, error) {
	n, err := l.conn.Read(p)
	return n, l.explain(err)
}

// Write is Send for one part.
func (l *Link) Write(p []byte) (int, error) {
	if err := l.Send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Send writes the parts to the stream, one after the other, which costs less
// than a Send for each. It blocks while the peer takes nothing.
func (l *Link) Send(parts ...[]byte) error { return l.explain(l.conn.Send(parts...)) }

// CloseWrite ends our side of the stream: the peer reads [io.EOF] behind the
// last byte. It does not wait for that.
func (l *Link) CloseWrite() error { return l.explain(l.conn.CloseWrite()) }

// Close closes the link, and with it the transfer if it is not one flow of it, and tells the peer err's
// code, [proto.OK] for nil. What was written and not yet acknowledged by the
// peer's host may be lost. Only the first Close or
// [Link.Break] tells the peer.
func (l *Link) Close(err error) {
	code := proto.CodeOf(err)
	l.shut(err, code.Wire(), code.String())
	if !l.flow {
		l.session.end()
	}
}

// closeLive is Close, but of a link that has broken before it does nothing: its
// transfer may have gone on over another by then.
func (l *Link) closeLive(err error) {
	code := proto.CodeOf(err)
	if l.shut(err, code.Wire(), code.String()) && !l.flow {
		l.session.end()
	}
}

// Break gives the link up, but not its transfer: see [Link.Resume].
func (l *Link) Break(err error) { l.shut(transport.Break(err), proto.CodeBroken, "broken") }

// shut closes the connection, and reports whether nobody has before.
func (l *Link) shut(err error, code uint64, reason string) (first bool) {
	l.closeOnce.Do(func() {
		first = true
		l.mu.Lock()
		l.cause = err
		l.mu.Unlock()
		l.conn.Close(code, reason, err)
	})
	return first
}

func (l *Link) explain(err error) error {
	if err == nil {
		return nil
	}
	l.mu.Lock()
	cause := l.cause
	l.mu.Unlock()
	if cause != nil {
		return cause
	}
	return transport.Explain(err)
}

// binding reads off a connection what the handshake is bound to.
func binding(state tls.ConnectionState, dialer, listener identity.ID) (handshake.Binding, error) {
	x, err := state.ExportKeyingMaterial(proto.ExporterLabel, nil, proto.ExporterBytes)
	return handshake.Binding{Exporter: x, Dialer: dialer, Listener: listener}, err
}
