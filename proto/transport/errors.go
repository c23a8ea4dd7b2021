package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/tcp"
)

// TLS alerts that tell something: RFC 8446, section 6.2. QUIC adds 0x100 to
// them: RFC 9001, section 4.8.
const (
	alertNoProtocol  = 0x100 + 120
	alertFirst       = 0x100
	alertLast        = 0x1ff
	quicInternal     = 0x1
	quicRefused      = quic.ConnectionRefused
	unansweredSuffix = "no answer"
)

// Explain gives an error of quic-go its code and words.
func Explain(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	if _, ok := errors.AsType[*proto.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		if e.Remote && e.ErrorCode == proto.CodeBroken {
			return Broken{proto.Errorf(proto.Timeout, "the peer has given the link up")}
		}
		return peerClosed(proto.CodeFromWire(uint64(e.ErrorCode)))
	}
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		return peerClosed(proto.CodeFromWire(uint64(e.ErrorCode)))
	}
	if e, ok := errors.AsType[*tcp.CloseError](err); ok {
		if e.Code == proto.CodeBroken {
			return Broken{proto.Errorf(proto.Timeout, "the peer has given the link up")}
		}
		return peerClosed(proto.CodeFromWire(e.Code))
	}
	if errors.Is(err, tcp.ErrHungUp) || errors.Is(err, tcp.ErrReset) {
		return Broken{&proto.Error{Code: proto.Truncated, Err: err}}
	}
	if errors.Is(err, tcp.ErrBlock) {
		return &proto.Error{Code: proto.Protocol, Err: err}
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" { // a TLS alert
		switch e.Err.Error() {
		case "tls: no application protocol":
			return proto.Errorf(proto.Version, "the peer does not speak %s", proto.ALPN)
		case "tls: bad record MAC": // the network's doing; the end that found it says the same below
			return Broken{proto.Errorf(proto.Unreachable, "TLS: the peer says %w", e.Err)}
		}
		return proto.Errorf(proto.Identity, "TLS: the peer says %w", e.Err)
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok || errors.Is(err, tcp.ErrIdle) {
		return Broken{proto.Errorf(proto.Timeout, "nothing heard from the peer for %s", proto.IdleTimeout)}
	}
	if _, ok := errors.AsType[*quic.HandshakeTimeoutError](err); ok {
		return proto.Errorf(proto.Unreachable, unansweredSuffix)
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return ErrGone
	}
	if _, ok := errors.AsType[*quic.VersionNegotiationError](err); ok {
		return proto.Errorf(proto.Version, "no common QUIC version")
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok {
		return transportError(e)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return proto.Errorf(proto.Unreachable, unansweredSuffix)
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, net.ErrClosed) {
		return Broken{&proto.Error{Code: proto.Unreachable, Err: err}}
	}
	return err
}

// peerClosed is the error of a link that the peer closed while we still wanted
// something of it.
func peerClosed(c proto.Code) error {
	if c == proto.OK {
		return proto.Errorf(proto.Truncated, "the peer ended the link too early")
	}
	return proto.Errorf(c, "the peer ended with %d (%s): %s", int(c), c, c.OfPeer())
}

func transportError(e *quic.TransportError) error {
	switch code := e.ErrorCode; {
	case code == quicRefused:
		return proto.Errorf(proto.Busy, "the peer takes no connections now")
	case code == alertNoProtocol:
		return proto.Errorf(proto.Version, "the peer does not speak %s", proto.ALPN)
	case code >= alertFirst && code <= alertLast:
		return proto.Errorf(proto.Identity, "TLS: %w", e)
	case code == quicInternal && !e.Remote: // a send or a read failed here
		return Broken{&proto.Error{Code: proto.Unreachable, Err: e}}
	}
	return proto.Errorf(proto.Protocol, "QUIC: %w", e)
}

// ErrBroken is in the chain of the error of a connection that broke without
// either end wanting it to.
var ErrBroken = errors.New("link is broken")

// Broken makes an error one of a broken connection, without changing its words.
type Broken struct{ error }

// Break returns err as a [Broken] one.
func Break(err error) error { return Broken{err} }

func (b Broken) Is(target error) bool { return target == ErrBroken }
func (b Broken) Unwrap() error        { return b.error }

var (
	ErrGone     = proto.Errorf(proto.Truncated, "the peer's process is gone")
	ErrNoAnswer = proto.Errorf(proto.Unreachable, "no answer in %s", proto.DialTimeout)
	ErrNobody   = proto.Errorf(proto.Unreachable, "nobody listens there")
)

// Bound makes reads and writes of the connection fail when ctx ends, until stop is
// called. It reports false if that came too late.
func Bound(ctx context.Context, conn Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}

// HandshakeError explains why the peer's part of the handshake could not be had. An
// end without a code is the peer's breach of the protocol, not an error of ours.
func HandshakeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err = Explain(err); proto.CodeOf(err) == proto.Failed {
		return proto.Errorf(proto.Protocol, "handshake: %w", err)
	}
	return err
}
