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

// TLS alerts (RFC 8446, section 6.2) as QUIC error codes (RFC 9001, section 4.8),
// and QUIC's INTERNAL_ERROR (RFC 9000, section 20.1).
const (
	alertFirst      = 0x100
	alertLast       = 0x1ff
	alertNoProtocol = alertFirst + 120
	quicInternal    = 0x1
)

var (
	// ErrGone says that the peer's process is gone while its host is there.
	ErrGone = proto.Errorf(proto.Truncated, "the peer's process is gone")
	// ErrNoAnswer says that nothing came back for [proto.DialTimeout].
	ErrNoAnswer = proto.Errorf(proto.Unreachable, "no answer in %s", proto.DialTimeout)
	// ErrRefused says that the host answered that nobody listens at the port.
	ErrRefused = proto.Errorf(proto.Unreachable, "nobody listens there")
	// ErrBroken is in the chain of the error of a connection that broke without
	// either end wanting that.
	ErrBroken = errors.New("link is broken")

	errNotAccepted = proto.Errorf(proto.Busy, "the peer accepts no connections now")
	errGivenUp     = proto.Errorf(proto.Timeout, "the peer has given the link up")
)

// broken makes an error one of a broken connection, without changing its text.
type broken struct{ error }

// Break returns err with [ErrBroken] in its chain.
func Break(err error) error { return broken{err} }

func (b broken) Is(target error) bool { return target == ErrBroken }
func (b broken) Unwrap() error        { return b.error }

// Explain gives an error of a connection its exit code and its text. It returns
// nil, [io.EOF] and an error that has a code as they are.
func Explain(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if _, ok := errors.AsType[*proto.Error](err); ok {
		return err
	}
	for _, explain := range []func(error) error{explainClose, explainTCP, explainQUIC} {
		if explained := explain(err); explained != nil {
			return explained
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return proto.Errorf(proto.Unreachable, "no answer")
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, net.ErrClosed) {
		return Break(&proto.Error{Code: proto.Unreachable, Err: err})
	}
	return err
}

// explainClose explains a close by the peer, or returns nil.
func explainClose(err error) error {
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		if e.Remote && e.ErrorCode == proto.CodeBroken {
			return Break(errGivenUp)
		}
		return closedByPeer(uint64(e.ErrorCode))
	}
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		return closedByPeer(uint64(e.ErrorCode))
	}
	if e, ok := errors.AsType[*tcp.CloseError](err); ok {
		if e.Code == proto.CodeBroken {
			return Break(errGivenUp)
		}
		return closedByPeer(e.Code)
	}
	return nil
}

// closedByPeer is the error of a connection that the peer closed while this end
// still needed it.
func closedByPeer(code uint64) error {
	c := proto.CodeFromWire(code)
	if c == proto.OK {
		return proto.Errorf(proto.Truncated, "the peer ended the link too early")
	}
	return proto.Errorf(c, "the peer ended with %d (%s): %s", int(c), c, c.OfPeer())
}

// explainTCP explains an error of TLS over TCP, or returns nil.
func explainTCP(err error) error {
	switch {
	case errors.Is(err, tcp.ErrHungUp), errors.Is(err, tcp.ErrReset):
		return Break(&proto.Error{Code: proto.Truncated, Err: err})
	case errors.Is(err, tcp.ErrBlock):
		return &proto.Error{Code: proto.Protocol, Err: err}
	case errors.Is(err, tcp.ErrIdle):
		return errIdle()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		return explainAlert(e)
	}
	return nil
}

// explainAlert explains a TLS alert that the peer sent over TCP. The text is
// compared because crypto/tls does not export the type of an alert that was
// received. TestTCPStrangeServers in package link, over real TLS connections, fails
// if a text changes.
func explainAlert(e *net.OpError) error {
	switch e.Err.Error() {
	case "tls: no application protocol":
		return errNoProtocol()
	case "tls: bad record MAC": // the network corrupts data, not the peer
		return Break(proto.Errorf(proto.Unreachable, "TLS: the peer says %w", e.Err))
	}
	return proto.Errorf(proto.Identity, "TLS: the peer says %w", e.Err)
}

// explainQUIC explains an error of quic-go, or returns nil.
func explainQUIC(err error) error {
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok {
		return errIdle()
	}
	if _, ok := errors.AsType[*quic.HandshakeTimeoutError](err); ok {
		return proto.Errorf(proto.Unreachable, "no answer")
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return ErrGone
	}
	if _, ok := errors.AsType[*quic.VersionNegotiationError](err); ok {
		return proto.Errorf(proto.Version, "no common QUIC version")
	}
	e, ok := errors.AsType[*quic.TransportError](err)
	if !ok {
		return nil
	}
	switch code := e.ErrorCode; {
	case code == quic.ConnectionRefused:
		return errNotAccepted
	case code == alertNoProtocol:
		return errNoProtocol()
	case code >= alertFirst && code <= alertLast:
		return proto.Errorf(proto.Identity, "TLS: %w", e)
	case code == quicInternal && !e.Remote: // the socket failed
		return Break(&proto.Error{Code: proto.Unreachable, Err: e})
	}
	return proto.Errorf(proto.Protocol, "QUIC: %w", e)
}

func errIdle() error {
	return Break(proto.Errorf(proto.Timeout, "nothing heard from the peer for %s", proto.IdleTimeout))
}

func errNoProtocol() error {
	return proto.Errorf(proto.Version, "the peer does not speak %s", proto.ALPN)
}

// HungUp reports whether a TCP connection was ended by the peer's host and not by the
// peer, most likely because the peer's process is gone.
func HungUp(c Conn) bool { return errors.Is(context.Cause(c.Context()), tcp.ErrHungUp) }

// HandshakeError explains an error of a handshake: the cause of ctx if that has
// ended, and [proto.Protocol] for an error without a code, since the peer has then
// broken off.
func HandshakeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err = Explain(err); proto.CodeOf(err) == proto.Failed {
		return proto.Errorf(proto.Protocol, "handshake: %w", err)
	}
	return err
}

// FailOnDone makes reads and writes of a connection fail when ctx ends, until stop
// is called. stop returns false if ctx ended first.
func FailOnDone(ctx context.Context, conn Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}
