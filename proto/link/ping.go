package link

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/path"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// Ping is a node that has answered with the right key.
type Ping struct {
	Path path.Path
	Via  string         // the transport
	Addr netip.AddrPort // zero through a relay
	// RTT is the time from P2P_HELLO to its answer: one round trip, and what the
	// listener needs to check a proof.
	RTT time.Duration
	// Refused is nil if the listener would admit this node, else its refusal.
	Refused error
}

// Ping asks the target whether it would admit this node, by a P2P_HELLO of
// [wire.KindPing], which begins nothing and uses no token up. Kind, Need and First of the
// target are not used. It blocks for at most [proto.DialTimeout]. An error says that the
// target was not reached; what answered had another key, or broke the connection off.
//
// A listener of a version without this kind refuses it with code [proto.Denied].
func (e *Endpoint) Ping(ctx context.Context, t Target) (Ping, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, proto.DialTimeout, transport.ErrNoAnswer)
	defer cancel()
	connecting, stop := ctx, func() {}
	if t.AttemptTimeout > 0 {
		connecting, stop = context.WithTimeoutCause(ctx, t.AttemptTimeout, errAttemptOver)
	}
	defer stop()
	conn, err := path.Dial(connecting, e.Endpoint, path.Target{
		ID: t.ID, Addrs: t.Addrs, Given: true, Candidates: t.Candidates, Routes: t.Routes, Prefer: t.Prefer, Via: t.Via,
	})
	if err != nil {
		return Ping{}, err
	}
	return e.ping(ctx, conn, t)
}

// PingAt pings the target once more at one address, over one transport that the endpoint
// has. It blocks until there is an answer, or ctx ends.
func (e *Endpoint) PingAt(ctx context.Context, t Target, via string, addr netip.AddrPort) (Ping, error) {
	conn, err := e.Connect(ctx, transport.Attempt{Via: via, Addr: addr, ID: t.ID})
	if err != nil {
		return Ping{}, err
	}
	return e.ping(ctx, conn, t)
}

// PingOver pings the target over a route: through a relay, or the connection of a hole. It
// blocks until there is an answer, or ctx ends.
func (e *Endpoint) PingOver(ctx context.Context, t Target, r path.Route) (Ping, error) {
	carrier, err := r.Dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Ping{}, err
	}
	conn, err := e.ConnectOver(ctx, carrier, t.ID)
	if err != nil {
		return Ping{}, err
	}
	return e.ping(ctx, conn, t)
}

// ping says P2P_HELLO over a connection, and closes it.
func (e *Endpoint) ping(ctx context.Context, conn transport.Conn, t Target) (p Ping, err error) {
	defer func() { conn.Close(proto.OK.Wire(), "", errClosed) }()
	b, err := bindTo(conn, e.key.ID(), t.ID)
	if err != nil {
		return p, err
	}
	d, err := handshake.NewDialer(b, t.Credential, t.Want, wire.KindPing, e.WindowBytes(), "", 0)
	if err != nil {
		return p, err
	}
	sent := time.Now()
	typ, body, err := exchangeHello(ctx, conn, d.Hello, nil)
	if err != nil {
		return p, err
	}
	p = Ping{Path: path.Of(e.Endpoint, conn), Via: conn.Via(), RTT: time.Since(sent)}
	if addr, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil && p.Path.Kind != path.Relay {
		p.Addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	_, _, err = d.Finish(typ, body)
	switch proto.CodeOf(err) {
	case proto.Denied, proto.Busy, proto.Capability, proto.Version:
		p.Refused = err
		return p, nil
	}
	if errors.Is(err, handshake.ErrPath) {
		p.Refused = err
		return p, nil
	}
	if errors.Is(err, handshake.ErrKind) {
		return p, nil
	}
	return p, err
}
