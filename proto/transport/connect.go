package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/tcp"
)

// Attempt is one connection to make.
type Attempt struct {
	Via  string // [proto.ViaQUIC] or [proto.ViaTCP]
	Addr netip.AddrPort
	ID   identity.ID // the pin: the peer must have this key
	// Answered, if it is set, is called when the peer's host has answered the first
	// packet, before TLS begins. Only TCP reports that.
	Answered func()
}

// Connect makes one connection. It blocks until it stands or ctx ends.
func (e *Endpoint) Connect(ctx context.Context, a Attempt) (Conn, error) {
	if a.Via == proto.ViaTCP {
		return e.connectTCP(ctx, a)
	}
	return e.connectQUIC(ctx, a)
}

func (e *Endpoint) connectTCP(ctx context.Context, a Attempt) (Conn, error) {
	raw, err := e.sockets.DialTCP(ctx, "tcp", a.Addr.String())
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case tcp.IsRefused(err):
			return nil, ErrRefused
		}
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // the caller names the address
		}
		return nil, &proto.Error{Code: proto.Unreachable, Err: err}
	}
	if a.Answered != nil {
		a.Answered()
	}
	conn, err := e.clientTLS(ctx, raw, a.ID)
	switch {
	case err == nil:
		return &tcpConn{conn}, nil
	case errors.Is(err, tcp.ErrHungUp):
		return nil, errNotAccepted
	}
	return nil, err
}

// ConnectOver makes a connection over a carrier, to the peer with the key of id. It
// blocks until the connection stands or ctx ends. It takes over the carrier, which it
// closes if it fails.
func (e *Endpoint) ConnectOver(ctx context.Context, c Carrier, id identity.ID) (Conn, error) {
	conn, err := e.clientTLS(ctx, c.Conn, id)
	switch {
	case err == nil:
		return c.over(conn), nil
	case errors.Is(err, tcp.ErrHungUp):
		return nil, proto.Errorf(proto.Unreachable, "the relay has ended the connection")
	}
	return nil, err
}

// clientTLS makes the TLS handshake of a dialer that accepts the key of id alone.
func (e *Endpoint) clientTLS(ctx context.Context, raw net.Conn, id identity.ID) (*tcp.Conn, error) {
	conf, pinErr := e.pinnedTLS(id)
	conn, err := tcp.Client(ctx, raw, conf)
	switch {
	case err == nil:
		return conn, nil
	case *pinErr != nil:
		return nil, *pinErr
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, tcp.ErrHungUp):
		return nil, err
	}
	if err = Explain(err); proto.CodeOf(err) == proto.Failed {
		err = proto.Errorf(proto.Protocol, "TLS: %w", err)
	}
	return nil, err
}

func (e *Endpoint) connectQUIC(ctx context.Context, a Attempt) (Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	to := net.UDPAddrFromAddrPort(a.Addr)
	defer e.watchers.add(&watcher{
		addr:  func() net.Addr { return to },
		heard: func() uint64 { return 0 },
		gone:  func() { cancel(ErrRefused) },
	})()
	conf := e.quicConfig()
	conf.InitialStreamReceiveWindow = min(initialWindow, conf.MaxStreamReceiveWindow)
	conf.InitialConnectionReceiveWindow = conf.InitialStreamReceiveWindow
	tlsConf, pinErr := e.pinnedTLS(a.ID)
	conn, err := e.quic.Dial(ctx, to, tlsConf, conf)
	switch {
	case err == nil:
	case *pinErr != nil: // quic-go returns an alert instead
		return nil, *pinErr
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	default:
		if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok { // of the handshake, as long as ctx lasts
			return nil, ErrNoAnswer
		}
		return nil, explainHandshake(err)
	}
	c, err := openQUIC(ctx, conn)
	if err != nil {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(proto.OK.Wire()), "")
		return nil, HandshakeError(ctx, err)
	}
	return c, nil
}

// pinnedTLS returns the TLS configuration of a dialer that accepts the key of id
// alone. After a failed handshake *pinErr says whether the peer had another key.
func (e *Endpoint) pinnedTLS(id identity.ID) (conf *tls.Config, pinErr *error) {
	pinErr = new(error)
	return e.tlsConfig(func(got identity.ID) error {
		if got != id {
			*pinErr = proto.Errorf(proto.Identity, "the peer has another key (%s, want %s)", got.Short(), id.Short())
		}
		return *pinErr
	}), pinErr
}
