package link

import (
	"context"
	"errors"
	"io"
	"net"

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

// explain gives an error of quic-go its code and words.
func explain(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	if _, ok := errors.AsType[*proto.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		if e.Remote && e.ErrorCode == proto.CodeBroken {
			return broken{proto.Errorf(proto.Timeout, "the peer has given the link up")}
		}
		return peerClosed(proto.CodeFromWire(uint64(e.ErrorCode)))
	}
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		return peerClosed(proto.CodeFromWire(uint64(e.ErrorCode)))
	}
	if e, ok := errors.AsType[*tcp.CloseError](err); ok {
		if e.Code == proto.CodeBroken {
			return broken{proto.Errorf(proto.Timeout, "the peer has given the link up")}
		}
		return peerClosed(proto.CodeFromWire(e.Code))
	}
	if errors.Is(err, tcp.ErrHungUp) || errors.Is(err, tcp.ErrReset) {
		return broken{&proto.Error{Code: proto.Truncated, Err: err}}
	}
	if errors.Is(err, tcp.ErrBlock) {
		return &proto.Error{Code: proto.Protocol, Err: err}
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" { // a TLS alert
		switch e.Err.Error() {
		case "tls: no application protocol":
			return proto.Errorf(proto.Version, "the peer does not speak %s", proto.ALPN)
		case "tls: bad record MAC": // the network's doing; the end that found it says the same below
			return broken{proto.Errorf(proto.Unreachable, "TLS: the peer says %w", e.Err)}
		}
		return proto.Errorf(proto.Identity, "TLS: the peer says %w", e.Err)
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok || errors.Is(err, tcp.ErrIdle) {
		return broken{proto.Errorf(proto.Timeout, "nothing heard from the peer for %s", proto.IdleTimeout)}
	}
	if _, ok := errors.AsType[*quic.HandshakeTimeoutError](err); ok {
		return proto.Errorf(proto.Unreachable, unansweredSuffix)
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return errGone
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
		return broken{&proto.Error{Code: proto.Unreachable, Err: err}}
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
		return broken{&proto.Error{Code: proto.Unreachable, Err: e}}
	}
	return proto.Errorf(proto.Protocol, "QUIC: %w", e)
}
