package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// Target is whom to dial and with what.
type Target struct {
	// ID is the pin: no other key is talked to.
	ID identity.ID
	// Addrs are HOST:PORT, tried all at once.
	Addrs []string
	// Credential proves that we may.
	Credential token.Credential
	// Want is what to ask for. The listener grants some of it; Need must be
	// among that.
	Want, Need proto.Caps
}

// Dial makes a link to the target. It blocks for at most [proto.DialTimeout].
// The error's code says whether to try again: [proto.Unreachable] and
// [proto.Busy] may pass, the others will not.
func (e *Endpoint) Dial(ctx context.Context, t Target) (*Link, error) {
	if t.ID == e.key.ID() {
		return nil, proto.Errorf(proto.Identity, "dial %s: that is this node's own key", t.ID.Short())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, proto.DialTimeout, errNoAnswer)
	defer cancel()
	return e.dial(ctx, t, nil)
}

// dial makes a link, of a session that there is already or of one that begins.
func (e *Endpoint) dial(ctx context.Context, t Target, s *session) (*Link, error) {
	conn, err := e.race(ctx, t)
	if err != nil {
		return nil, err
	}
	l, err := e.hello(ctx, conn, t, s)
	if err != nil {
		code := proto.CodeOf(err)
		_ = conn.CloseWithError(quic.ApplicationErrorCode(code.Wire()), code.String())
		return nil, fmt.Errorf("%s: %w", conn.RemoteAddr(), err)
	}
	return l, nil
}

var (
	errNoAnswer = proto.Errorf(proto.Unreachable, "no answer in %s", proto.DialTimeout)
	errNobody   = proto.Errorf(proto.Unreachable, "nobody listens there")
)

// race dials every address and returns the first connection whose other end has
// the right key.
func (e *Endpoint) race(ctx context.Context, t Target) (*quic.Conn, error) {
	addrs, err := resolve(ctx, t.Addrs)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn *quic.Conn
		err  error
	}
	results := make(chan result) // each attempt sends once; this function reads all
	for _, addr := range addrs {
		go func() {
			conn, err := e.connect(ctx, addr, t.ID)
			if err != nil {
				err = fmt.Errorf("dial %s: %w", addr, err)
			}
			results <- result{conn, err}
		}()
	}
	var won *quic.Conn
	var failed error
	for range addrs {
		r := <-results
		switch {
		case r.err == nil && won == nil:
			won = r.conn
			cancel()
		case r.err == nil:
			_ = r.conn.CloseWithError(quic.ApplicationErrorCode(proto.OK.Wire()), "")
		case failed == nil || moreTelling(r.err, failed):
			failed = r.err
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, failed
}

// moreTelling reports whether a says more about a target than b: somebody
// answered, and what was wrong with the answer.
func moreTelling(a, b error) bool {
	return proto.CodeOf(b) == proto.Unreachable && proto.CodeOf(a) != proto.Unreachable
}

// resolve looks up the addresses' host names.
func resolve(ctx context.Context, addrs []string) ([]*net.UDPAddr, error) {
	var out []*net.UDPAddr
	var failed error
	for _, a := range addrs {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			return nil, &proto.Error{Code: proto.Usage, Err: err}
		}
		n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
		if err != nil {
			return nil, &proto.Error{Code: proto.Usage, Err: err}
		}
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			failed = proto.Errorf(proto.Unreachable, "look up %s: no such host", host)
			continue
		}
		for _, ip := range ips {
			out = append(out, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), uint16(n))))
		}
	}
	if len(out) == 0 && failed == nil {
		failed = proto.Errorf(proto.Unreachable, "no address is known for the peer")
	}
	if len(out) == 0 {
		return nil, failed
	}
	return out, nil
}

// connect makes one QUIC connection to whoever holds the key of id.
func (e *Endpoint) connect(ctx context.Context, addr *net.UDPAddr, id identity.ID) (*quic.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer e.watchers.add(&watcher{
		addr:  func() net.Addr { return addr },
		heard: func() uint64 { return 0 },
		gone:  func() { cancel(errNobody) },
	})()
	var pinErr error // quic-go reports an alert, not this
	tlsConf := e.tlsConfig(func(got identity.ID) error {
		if got != id {
			pinErr = proto.Errorf(proto.Identity, "the peer has another key (%s, want %s)", got.Short(), id.Short())
		}
		return pinErr
	})
	conf := quicConfig()
	conf.InitialStreamReceiveWindow = initialWindow
	conf.InitialConnectionReceiveWindow = initialWindow
	conn, err := e.transport.Dial(ctx, addr, tlsConf, conf)
	switch {
	case err == nil:
		return conn, nil
	case pinErr != nil:
		return nil, pinErr
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok { // of the handshake, which runs out when ctx does
		return nil, errNoAnswer
	}
	return nil, explain(err)
}

// hello is the dialer's handshake on a connection whose other end has shown the
// right key.
func (e *Endpoint) hello(ctx context.Context, conn *quic.Conn, t Target, s *session) (*Link, error) {
	b, err := binding(conn.ConnectionState().TLS, e.key.ID(), t.ID)
	if err != nil {
		return nil, err
	}
	d, err := handshake.NewDialer(b, t.Credential, t.Want, proto.WindowBytes)
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, explain(err)
	}
	stop := bound(ctx, stream)
	defer stop()
	frame := wire.AppendHeader(nil, wire.Header{Type: wire.TypeHello, Bytes: len(d.Hello)})
	if _, err := stream.Write(append(frame, d.Hello...)); err != nil {
		return nil, helloError(ctx, err)
	}
	typ, body, err := wire.ReadFrame(stream, wire.TypeOK, wire.TypeDeny)
	if err != nil {
		return nil, helloError(ctx, err)
	}
	ok, granted, err := d.Finish(typ, body)
	if err != nil {
		return nil, err
	}
	if !granted.Has(t.Need) {
		return nil, proto.Errorf(proto.Capability, "the peer allows %s here, and we need %s", granted, t.Need)
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	if s == nil {
		secret, err := b.ResumeSecret(t.Credential.Secret)
		if err != nil {
			return nil, err
		}
		s = &session{secret: secret, endpoint: e, target: t}
	}
	return e.keep(&Link{session: s, Peer: t.ID, Transfer: ok.Transfer, Granted: granted, PeerWindow: ok.Window, Dialed: true, conn: conn, stream: stream}), nil
}

// bound makes reads and writes of the stream fail when ctx ends, until stop is
// called. It reports false if that came too late.
func bound(ctx context.Context, stream *quic.Stream) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Unix(1, 0)) })
}

// helloError explains why the peer's part of the handshake could not be had. An
// end without a code is the peer's breach of the protocol, not an error of ours.
func helloError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err = explain(err); proto.CodeOf(err) == proto.Failed {
		return proto.Errorf(proto.Protocol, "handshake: %w", err)
	}
	return err
}
