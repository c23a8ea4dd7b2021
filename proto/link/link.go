package link

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// ErrBroken is in the chain of the error of a link that broke without either end
// wanting that. Its transfer may go on over another link: see [Link.Resume].
var ErrBroken = transport.ErrBroken

// ErrNotReached is in the chain of the error of a dial that made no connection to the
// peer's key. Something else may have answered; another dial may reach the peer.
var ErrNotReached = path.ErrNotReached

// Link is a connection whose two ends have proven to each other what they may do.
// Read, Write and Send are those of its stream; one goroutine may read while another
// writes. Their errors are [proto.Error]s, but Read returns [io.EOF] when the peer
// has ended its direction.
type Link struct {
	// Peer is the other end's node id.
	Peer identity.ID
	// Transfer names the transfer in the logs and receipts of both ends.
	Transfer wire.TransferID
	// Granted is what the dialer may do: see [proto.Caps].
	Granted proto.Caps
	// Kind is the kind of the transfer: [wire.KindPipe], [wire.KindFiles],
	// [wire.KindTake] or [wire.KindTTY].
	Kind string
	// Name is how the dialer calls a pipe that begins, for an inbox; "" for none. Only the
	// listener knows it, and must check it: it is the text of a peer.
	Name string
	// Minor is the minor version of the protocol that both ends speak.
	Minor int
	// Window and PeerWindow are the flow-control windows that this end and the peer
	// have announced, in bytes.
	Window, PeerWindow int64
	// RTT is how long the peer took to answer P2P_HELLO. Only the dialer knows it.
	RTT time.Duration
	// Dialed is true at the dialer's end.
	Dialed bool
	// Resumed says that the transfer may have used another link before, which was
	// made by a dial that got no answer. Only the dialer knows it.
	Resumed bool
	// Token is the id of the dialer's token, nil if it has shown none. Only the
	// listener knows it.
	Token *token.ID

	endpoint *Endpoint
	conn     transport.Conn
	session  *session
	awaited  *session // at the listener's end, of a link that has yet to take over from another
	flow     bool     // not the primary link of the session: see AddFlow
	try      uint32   // of the P2P_HELLO: see [wire.Hello.Try]

	elsewhere atomic.Bool // it has broken because this machine's network has changed

	// closing holds one value until the link is closed: the first goroutine that closes
	// it receives the value, and closes the channel at the end. The others wait for that.
	// It is not a sync.Once because in [testing/synctest] time stands still while a
	// goroutine waits for one, and the close of a TCP connection waits for the peer.
	closing chan struct{}

	mu    sync.Mutex
	cause error // of the close by this end
}

// Addr returns the peer's address as it is now; over a relay that of the relay.
func (l *Link) Addr() net.Addr { return l.conn.RemoteAddr() }

// addrPort returns the peer's address; false over a relay, whose address says nothing
// about the peer.
func (l *Link) addrPort() (netip.AddrPort, bool) {
	if l.conn.Path() != (path.Path{}) {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddrPort(l.Addr().String())
	return addr, err == nil
}

// Via returns the transport: [proto.ViaQUIC] or [proto.ViaTCP].
func (l *Link) Via() string { return l.conn.Via() }

// Path returns the path that the link's packets take now. It changes when the peer
// of a QUIC connection moves to another address.
func (l *Link) Path() path.Path { return path.Of(l.endpoint.Endpoint, l.conn) }

// LossBound reports whether every lost packet slows the sender down, so that several
// flows may be faster than one.
func (l *Link) LossBound() bool { return l.conn.LossBound() }

// Heard counts packets (QUIC) or reads (TCP) that came from the peer.
func (l *Link) Heard() uint64 { return l.conn.Heard() }

// Read reads from the stream.
func (l *Link) Read(p []byte) (int, error) {
	n, err := l.conn.Read(p)
	return n, l.explain(err)
}

// Write is Send with one part.
func (l *Link) Write(p []byte) (int, error) {
	if err := l.Send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Send writes the parts to the stream, one after the other, which costs less than a
// Send for each. It blocks while the peer's flow-control window is used up.
func (l *Link) Send(parts ...[]byte) error { return l.explain(l.conn.Send(parts...)) }

// CloseWrite ends this end's direction of the stream: the peer reads [io.EOF] after
// the last byte. It does not wait for that.
func (l *Link) CloseWrite() error { return l.explain(l.conn.CloseWrite()) }

// Close closes the link and sends the peer err's code, [proto.OK] for nil. It also
// ends the transfer, unless the link is a flow beside the primary one. Bytes that the
// peer's host has not acknowledged may be lost. Only the first Close or [Link.Break]
// of a link counts.
func (l *Link) Close(err error) {
	l.closeConn(err, proto.CodeOf(err))
	if !l.flow {
		l.session.endMove(err)
		l.session.end()
	}
}

// Break gives the link up, but not its transfer: see [Link.Resume].
func (l *Link) Break(err error) { l.shut(transport.Break(err), proto.CodeBroken, "broken") }

// closeConn closes the connection with an exit code. It reports whether this is the
// first close.
func (l *Link) closeConn(err error, code proto.Code) (first bool) {
	return l.shut(err, code.Wire(), code.String())
}

// newTurn returns a channel for [Link.closing].
func newTurn() chan struct{} {
	turn := make(chan struct{}, 1)
	turn <- struct{}{}
	return turn
}

func (l *Link) shut(err error, code uint64, reason string) (first bool) {
	if _, first := <-l.closing; !first {
		return false
	}
	defer close(l.closing)
	l.mu.Lock()
	l.cause = err
	l.mu.Unlock()
	l.conn.Close(code, reason, err)
	return true
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
