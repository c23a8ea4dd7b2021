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

// Connect makes one connection over a carrier to whoever holds the key of id.
func (e *Endpoint) Connect(ctx context.Context, via string, addr netip.AddrPort, id identity.ID) (Conn, error) {
	if via == proto.ViaTCP {
		return e.connectTCP(ctx, addr, id)
	}
	return e.connectQUIC(ctx, addr, id)
}

// connectTCP makes one connection over TCP to whoever holds the key of id.
func (e *Endpoint) connectTCP(ctx context.Context, addr netip.AddrPort, id identity.ID) (Conn, error) {
	raw, err := e.sockets.DialTCP(ctx, "tcp", addr.String())
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case tcp.IsRefused(err):
			return nil, ErrNobody
		}
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // the address is said once
		}
		return nil, &proto.Error{Code: proto.Unreachable, Err: err}
	}
	conf, pinErr := e.pinned(id)
	conn, err := tcp.Client(ctx, raw, conf)
	switch {
	case err == nil:
		return &tcpConn{conn}, nil
	case *pinErr != nil:
		return nil, *pinErr
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, tcp.ErrHungUp):
		return nil, proto.Errorf(proto.Busy, "the peer takes no connections now")
	}
	if err = Explain(err); proto.CodeOf(err) == proto.Failed {
		err = proto.Errorf(proto.Protocol, "TLS: %w", err)
	}
	return nil, err
}

// connectQUIC makes one QUIC connection to whoever holds the key of id.
func (e *Endpoint) connectQUIC(ctx context.Context, addr netip.AddrPort, id identity.ID) (Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	to := net.UDPAddrFromAddrPort(addr)
	defer e.watchers.add(&watcher{
		addr:  func() net.Addr { return to },
		heard: func() uint64 { return 0 },
		gone:  func() { cancel(ErrNobody) },
	})()
	conf := e.quicConfig()
	conf.InitialStreamReceiveWindow = min(initialWindow, conf.MaxStreamReceiveWindow)
	conf.InitialConnectionReceiveWindow = conf.InitialStreamReceiveWindow
	tlsConf, pinErr := e.pinned(id) // quic-go reports an alert, not this
	conn, err := e.quic.Dial(ctx, to, tlsConf, conf)
	switch {
	case err == nil:
	case *pinErr != nil:
		return nil, *pinErr
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	default:
		if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok { // of the handshake, which runs out when ctx does
			return nil, ErrNoAnswer
		}
		return nil, Explain(err)
	}
	c, err := openQUIC(ctx, conn)
	if err != nil {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(proto.OK.Wire()), "")
		return nil, HandshakeError(ctx, err)
	}
	return c, nil
}

// pinned returns the TLS configuration of a dialer for a listener with the key
// of id, and where it is found why another was refused.
func (e *Endpoint) pinned(id identity.ID) (conf *tls.Config, pinErr *error) {
	pinErr = new(error)
	return e.tlsConfig(func(got identity.ID) error {
		if got != id {
			*pinErr = proto.Errorf(proto.Identity, "the peer has another key (%s, want %s)", got.Short(), id.Short())
		}
		return *pinErr
	}), pinErr
}
