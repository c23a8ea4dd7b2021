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

// acceptPause is how long no connection is taken after one could not be.
const acceptPause = 100 * time.Millisecond

// Incoming is a connection that is to be accepted.
type Incoming struct {
	Admission
	Addr net.Addr
	// Accept completes it. When that fails the connection is ended.
	Accept func(context.Context) (Conn, error)
}

// Listener takes connections.
type Listener struct {
	endpoint *Endpoint
	tls      *tls.Config
	quic     *quic.Listener // nil without QUIC
	serve    func(Incoming)
	done     context.Context
	stop     context.CancelCauseFunc
	wg       sync.WaitGroup
}

// Listen calls serve for each connection, in a goroutine of its own, and fail
// once when there will be no more. verify sees what the peer has proven.
func (e *Endpoint) Listen(verify func(identity.ID) error, serve func(Incoming), fail func(error)) (*Listener, error) {
	l := &Listener{endpoint: e, tls: e.tlsConfig(verify), serve: serve}
	l.done, l.stop = context.WithCancelCause(context.Background())
	context.AfterFunc(l.done, func() { fail(context.Cause(l.done)) })
	if e.quic != nil {
		if err := l.listenQUIC(); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", e.Addr(), err)
		}
		l.wg.Go(l.acceptQUIC)
	}
	if e.sockets.TCP != nil {
		l.wg.Go(l.acceptTCP)
	}
	return l, nil
}

// Close ends it, and waits for all calls of serve.
func (l *Listener) Close() error {
	l.stop(net.ErrClosed)
	var errs []error
	if l.quic != nil {
		errs = append(errs, l.quic.Close())
	}
	if t := l.endpoint.sockets.TCP; t != nil {
		errs = append(errs, t.Close())
	}
	l.wg.Wait()
	return errors.Join(errs...)
}

func (l *Listener) listenQUIC() error {
	conf := l.endpoint.quicConfig()
	conf.MaxIncomingStreams = 1
	conf.InitialStreamReceiveWindow = proto.UnprovenWindowBytes
	conf.InitialConnectionReceiveWindow = proto.UnprovenWindowBytes
	conf.HandshakeIdleTimeout = proto.HelloTimeout / 2 // quic-go gives a handshake twice that in all
	var err error
	l.quic, err = l.endpoint.quic.Listen(l.tls, conf)
	return err
}

func (l *Listener) acceptQUIC() {
	for {
		conn, err := l.quic.Accept(l.done)
		if err != nil {
			l.stop(proto.Errorf(proto.IO, "wait for peers: %w", err)) // no effect after Close
			return
		}
		l.wg.Go(func() {
			a := conn.Context().Value(admissionKey{}).(Admission)
			l.serve(Incoming{a, conn.RemoteAddr(), func(ctx context.Context) (Conn, error) {
				c, err := acceptQUIC(ctx, conn)
				if err != nil {
					code := proto.CodeOf(HandshakeError(ctx, err))
					_ = conn.CloseWithError(quic.ApplicationErrorCode(code.Wire()), code.String())
				}
				return c, err
			}})
		})
	}
}

func (l *Listener) acceptTCP() {
	for {
		conn, err := l.endpoint.sockets.TCP.Accept()
		if errors.Is(err, net.ErrClosed) {
			l.stop(proto.Errorf(proto.IO, "wait for peers: %w", err)) // no effect after Close
			return
		}
		if err != nil { // no descriptors left, most likely
			l.endpoint.log.Warn("peer not taken", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-l.done.Done():
				return
			}
			continue
		}
		a, err := l.endpoint.unproven.admit(conn.RemoteAddr())
		if err != nil {
			l.endpoint.log.Info("peer turned away", "addr", conn.RemoteAddr(), "err", err)
			conn.Close()
			continue
		}
		l.wg.Go(func() {
			defer a.Release()
			l.serve(Incoming{a, conn.RemoteAddr(), func(ctx context.Context) (Conn, error) {
				c, err := tcp.Server(ctx, conn, l.tls)
				if err != nil {
					return nil, err
				}
				return &tcpConn{c}, nil
			}})
		})
	}
}
