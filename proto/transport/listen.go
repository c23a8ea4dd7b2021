package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/tcp"
)

// acceptPause is the time without Accept after one has failed, most likely because
// the process has no file descriptor left.
const acceptPause = 100 * time.Millisecond

// Incoming is a connection that a peer makes to this node. It holds a place among
// the half-open connections until Release is called or it ends.
type Incoming struct {
	Addr    net.Addr
	Release func()
	// Due returns when the peer must be authenticated. That may become sooner while
	// Accept runs.
	Due func() time.Time
	// Accept completes the connection. It blocks until the dialer has opened its
	// stream or ctx ends. When it fails, the connection has been ended.
	Accept func(ctx context.Context) (Conn, error)
}

// Listener accepts connections on all sockets of an endpoint.
type Listener struct {
	endpoint *Endpoint
	tls      *tls.Config
	quic     *quic.Listener // nil without QUIC
	tcp      net.Listener   // nil without TCP
}

// Listen begins to listen. verify is called with each peer's key and refuses the
// connection with an error. An endpoint has one Listener at a time; the caller must
// call [Listener.Serve].
func (e *Endpoint) Listen(verify func(identity.ID) error) (*Listener, error) {
	l := &Listener{endpoint: e, tls: e.tlsConfig(verify), tcp: e.sockets.TCP}
	if e.quic == nil {
		return l, nil
	}
	conf := e.quicConfig()
	conf.MaxIncomingStreams = 1
	conf.InitialStreamReceiveWindow = proto.HandshakeWindowBytes
	conf.InitialConnectionReceiveWindow = proto.HandshakeWindowBytes
	conf.HandshakeIdleTimeout = proto.HelloTimeout / 2 // quic-go gives a handshake twice that in all
	var err error
	if l.quic, err = e.quic.Listen(l.tls, conf); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", e.Addr(), err)
	}
	return l, nil
}

// Serve calls handle for each connection, in a goroutine of its own. It blocks
// until ctx or a socket is closed and all handlers have returned; the error says
// which. It closes the TCP socket, but not the UDP one.
func (l *Listener) Serve(ctx context.Context, handle func(context.Context, Incoming)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	if l.quic != nil {
		wg.Go(func() { stop(l.serveQUIC(ctx, &wg, handle)) })
	}
	if l.tcp != nil {
		wg.Go(func() { stop(l.serveTCP(ctx, &wg, handle)) })
	}
	l.endpoint.taking.set(func(c Carrier, p *place) {
		wg.Go(func() {
			defer p.release()
			handle(ctx, l.incoming(c.Conn, p, c.over))
		})
	})
	<-ctx.Done()
	l.endpoint.taking.set(nil)
	l.close()
	wg.Wait()
	return context.Cause(ctx)
}

func (l *Listener) close() {
	if l.quic != nil {
		_ = l.quic.Close()
	}
	if l.tcp != nil {
		_ = l.tcp.Close()
	}
}

func (l *Listener) serveQUIC(ctx context.Context, wg *sync.WaitGroup, handle func(context.Context, Incoming)) error {
	for {
		conn, err := l.quic.Accept(ctx)
		if err != nil {
			return proto.Errorf(proto.IO, "wait for peers: %w", err)
		}
		p := conn.Context().Value(placeKey{}).(*place)
		p.canGiveUp(func() { closeQUIC(conn, errTooMany) })
		if err := p.moveOn(); err != nil {
			l.endpoint.TurnedAway(conn.RemoteAddr().String(), err)
			closeQUIC(conn, err)
			continue
		}
		wg.Go(func() { handle(ctx, incomingQUIC(conn, p)) })
	}
}

func closeQUIC(conn *quic.Conn, err error) {
	code := proto.CodeOf(err)
	_ = conn.CloseWithError(quic.ApplicationErrorCode(code.Wire()), code.String()) // always nil
}

func incomingQUIC(conn *quic.Conn, p *place) Incoming {
	return Incoming{Addr: conn.RemoteAddr(), Release: p.release, Due: p.due, Accept: func(ctx context.Context) (Conn, error) {
		c, err := acceptQUIC(ctx, conn)
		if err != nil {
			closeQUIC(conn, HandshakeError(ctx, err))
		}
		return c, err
	}}
}

func (l *Listener) serveTCP(ctx context.Context, wg *sync.WaitGroup, handle func(context.Context, Incoming)) error {
	for {
		conn, err := l.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return proto.Errorf(proto.IO, "wait for peers: %w", err)
		}
		if err != nil {
			l.endpoint.log.Warn("connection not accepted", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		h := l.endpoint.halfOpen
		p, err := h.admit(&h.silentTCP, conn.RemoteAddr(), func() { conn.Close() })
		if err != nil {
			l.endpoint.TurnedAway(conn.RemoteAddr().String(), err)
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer p.release()
			handle(ctx, l.incomingTCP(conn, p))
		})
	}
}

func (l *Listener) incomingTCP(conn net.Conn, p *place) Incoming {
	return l.incoming(conn, p, func(c *tcp.Conn) Conn { return &tcpConn{c} })
}

// incoming returns what accepts a stream with TLS; made makes a connection of that.
func (l *Listener) incoming(conn net.Conn, p *place, made func(*tcp.Conn) Conn) Incoming {
	return Incoming{Addr: conn.RemoteAddr(), Release: p.release, Due: p.due, Accept: func(ctx context.Context) (Conn, error) {
		conf := l.tls.Clone()
		conf.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, p.moveOn() }
		c, err := tcp.Server(ctx, conn, conf)
		if err != nil {
			return nil, err
		}
		return made(c), nil
	}}
}
