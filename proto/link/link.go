// Package link makes links: authenticated connections between two node keys,
// each with one stream, over QUIC.
package link

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// Link is a link whose two ends have proven themselves to each other. Read and
// Write are its stream's; one goroutine may read while another writes. Their
// errors are [proto.Error]s, except [io.EOF] when the peer has ended its side.
type Link struct {
	// Peer is the other end's node id.
	Peer identity.ID
	// Transfer names what crosses the link, in both ends' logs and receipts.
	Transfer wire.TransferID
	// Granted is what the dialer may do: see [proto.Caps].
	Granted proto.Caps
	// PeerWindow is what the peer can hold of a transfer, in bytes.
	PeerWindow int64
	// Dialed tells the dialer's end from the listener's.
	Dialed bool
	// Token is the id of the token that the dialer used, nil for a key. It is
	// known to the listener only.
	Token *token.ID

	conn   *quic.Conn
	stream *quic.Stream

	closeOnce sync.Once
	mu        sync.Mutex
	cause     error // of our own closing
}

// Addr returns the peer's address as it is now.
func (l *Link) Addr() net.Addr { return l.conn.RemoteAddr() }

// Read reads from the stream.
func (l *Link) Read(p []byte) (int, error) {
	n, err := l.stream.Read(p)
	return n, l.explain(err)
}

// Write writes to the stream. It blocks while the peer takes nothing.
func (l *Link) Write(p []byte) (int, error) {
	n, err := l.stream.Write(p)
	return n, l.explain(err)
}

// CloseWrite ends our side of the stream: the peer reads [io.EOF] behind the
// last byte. It does not wait for that.
func (l *Link) CloseWrite() error { return l.explain(l.stream.Close()) }

// Close closes the link and tells the peer err's code, [proto.OK] for nil. What
// was written and not yet acknowledged by the peer's host may be lost: see
// [Link.AwaitClose]. Only the first Close counts.
func (l *Link) Close(err error) {
	l.closeOnce.Do(func() {
		l.mu.Lock()
		l.cause = err
		l.mu.Unlock()
		code := proto.CodeOf(err)
		_ = l.conn.CloseWithError(quic.ApplicationErrorCode(code.Wire()), code.String()) // always nil
	})
}

// AwaitClose waits until the peer has closed the link, for at most
// [proto.CloseTimeout]. The end that sent the last byte calls it, so that the
// byte is delivered before the process leaves.
func (l *Link) AwaitClose(ctx context.Context) {
	timer := time.NewTimer(proto.CloseTimeout)
	defer timer.Stop()
	select {
	case <-l.conn.Context().Done():
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Done is closed when the link is.
func (l *Link) Done() <-chan struct{} { return l.conn.Context().Done() }

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
	return explain(err)
}

// binding reads off a connection what the handshake is bound to.
func binding(state tls.ConnectionState, dialer, listener identity.ID) (handshake.Binding, error) {
	x, err := state.ExportKeyingMaterial(proto.ExporterLabel, nil, proto.ExporterBytes)
	return handshake.Binding{Exporter: x, Dialer: dialer, Listener: listener}, err
}
