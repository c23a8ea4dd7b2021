package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/tcp"
)

// TLS alerts (RFC 8446, section 6.2) as QUIC error codes (RFC 9001, section 4.8),
// and QUIC's INTERNAL_ERROR (RFC 9000, section 20.1).
const (
	alertFirst   = 0x100
	alertLast    = 0x1ff
	quicInternal = 0x1

	alertBadCertificate = alertFirst + 42 // the first of those about certificates
	alertUnknownCA      = alertFirst + 48 // the last
	alertDecryptError   = alertFirst + 51 // the peer does not have the certificate's key
	alertNoProtocol     = alertFirst + 120
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
	case errors.Is(err, tcp.ErrAltered):
		return Break(&proto.Error{Code: proto.Unreachable, Err: err})
	case errors.Is(err, tcp.ErrBlock):
		return &proto.Error{Code: proto.Protocol, Err: err}
	case errors.Is(err, tcp.ErrIdle):
		return errIdle()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		return explainAlert(e)
	}
	if hasWrongSignature(err) {
		return proto.Errorf(proto.Identity, "the peer shows a certificate and does not have its key")
	}
	return nil
}

// hasWrongSignature reports whether a TLS handshake failed at CertificateVerify (RFC
// 8446, section 4.4.3). The text is compared because crypto/tls has no type for that
// error. TestCopiedCertificate in package link fails if a text changes.
func hasWrongSignature(err error) bool {
	for _, text := range []string{"tls: invalid signature by the server certificate", "tls: invalid signature by the client certificate"} {
		if strings.HasPrefix(err.Error(), text) {
			return true
		}
	}
	return false
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
		return proto.Errorf(proto.Identity, "TLS: %w", withoutReason(e))
	case code == quicInternal && !e.Remote: // the socket failed
		return Break(&proto.Error{Code: proto.Unreachable, Err: e})
	}
	return proto.Errorf(proto.Protocol, "QUIC: %w", withoutReason(e))
}

// withoutReason returns e without the reason phrase of a peer: text of a peer is never
// printed.
func withoutReason(e *quic.TransportError) error {
	if !e.Remote {
		return e
	}
	return fmt.Errorf("the peer ended with error %#x", uint64(e.ErrorCode))
}

// explainHandshake explains why a QUIC handshake failed. Until it is complete, anybody
// who sees its packets can forge others: a CONNECTION_CLOSE, a Version Negotiation, or
// frames that are not valid (RFC 9000, section 21.1; RFC 9001, section 5.2). They say
// nothing about the peer. What this end finds wrong with a certificate keeps its code.
func explainHandshake(err error) error {
	if e, ok := errors.AsType[*quic.TransportError](err); ok {
		code := e.ErrorCode
		aboutKey := code >= alertBadCertificate && code <= alertUnknownCA || code == alertDecryptError || code == alertNoProtocol
		if code == quic.ConnectionRefused || !e.Remote && (code == quicInternal || aboutKey) {
			return Explain(err)
		}
		return forged(uint64(code))
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		return forged(uint64(e.ErrorCode))
	}
	if _, ok := errors.AsType[*quic.VersionNegotiationError](err); ok {
		return proto.Errorf(proto.Unreachable, "an unauthenticated packet says that there is no common QUIC version")
	}
	return Explain(err)
}

func forged(code uint64) error {
	return proto.Errorf(proto.Unreachable, "an unauthenticated packet ended the QUIC handshake (error %#x)", code)
}

func errIdle() error {
	return Break(proto.Errorf(proto.Timeout, "nothing heard from the peer for %s", proto.IdleTimeout))
}

func errNoProtocol() error {
	return proto.Errorf(proto.Version, "the peer does not speak %s", proto.ALPN)
}

// HungUp reports whether a TCP connection was ended by the peer's host and not by the
// peer, most likely because the peer's process is gone. It is false over a relay: there
// a restarted relay does the same.
func HungUp(c Conn) bool {
	return c.Path().Kind != Relay && errors.Is(context.Cause(c.Context()), tcp.ErrHungUp)
}

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
