package node

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// showToken shows a token, until a node has proven it.
func (p *pairing) showToken(ctx context.Context) (*acquainted, error) {
	o := p.offer
	o.Caps, o.Tokens = proto.CapSend, []TokenOffer{{Caps: proto.CapSend}}
	o.Once, o.Pairs, o.Command = true, true, p.node.options.Name
	o.Takes = func(kind string) bool { return kind == wire.KindPair }
	w, err := p.node.Wait(o)
	if err != nil {
		return nil, err
	}
	p.waiter = w
	l, err := w.Accept(ctx)
	if err != nil {
		return nil, err
	}
	return p.linked(l), nil
}

// dial proves a token to the listener that shows it.
func (p *pairing) dial(ctx context.Context, peer Peer) (*acquainted, error) {
	if peer.ID == p.node.Key.ID() {
		return nil, proto.Errorf(proto.Identity, "the token is one of this node itself")
	}
	l, err := p.node.Dial(ctx, peer, Request{Want: proto.CapSend, Need: proto.CapSend, Kind: wire.KindPair, Wait: p.offer.Wait})
	if errors.Is(err, ErrKind) || proto.CodeOf(err) == proto.Capability {
		return nil, proto.Hint(err, "mesh-pair without an argument shows a token for pairing")
	}
	if err != nil {
		return nil, err
	}
	return p.linked(l), nil
}

// linked returns the node at the other end of a link of kind [wire.KindPair].
func (p *pairing) linked(l *link.Link) *acquainted {
	return &acquainted{
		agree:  func(ctx context.Context) error { return p.agreeOver(ctx, l) },
		refuse: func() { l.Close(proto.Errorf(proto.Declined, "another node was faster")) },
	}
}

// agreeOver is agree over a link.
func (p *pairing) agreeOver(ctx context.Context, l *link.Link) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.local, p.stranger = isLocal(l), Stranger{ID: l.Peer}
	agreed := false
	err := p.node.Dialogue(ctx, l, nil, func(side context.Context, from *io.PipeReader, to *io.PipeWriter) (err error) {
		t := &linkTalk{tool: ctx, from: from, to: to}
		p.talk = t
		if p.stranger.Name, err = t.names(side); err != nil {
			return err
		}
		if err = p.agree(side); err == nil {
			agreed = true
			time.AfterFunc(pairLeaveTime, cancel) // the other end has all that it needs
		}
		if side.Err() != nil && errors.Is(err, context.Cause(side)) { // in the middle of a question
			return t.ended(err)
		}
		return err
	})
	if agreed {
		return nil
	}
	return err
}

// isLocal reports whether the other end of a link is on this machine.
func isLocal(l *link.Link) bool {
	host, _, err := net.SplitHostPort(l.Addr().String())
	return err == nil && proto.IsLoopbackHost(host)
}

// linkTalk is a [pairTalk] over a link. It is for one goroutine.
type linkTalk struct {
	tool context.Context // ends if this end gives up
	from *io.PipeReader
	to   *io.PipeWriter
}

// names tells the other end what this machine is called, and returns what that one calls
// itself.
func (t *linkTalk) names(ctx context.Context) (string, error) {
	if err := t.send(&wire.PairName{Name: hostName()}); err != nil {
		return "", err
	}
	var theirs wire.PairName
	err := t.read(ctx, &theirs)
	return theirs.Name, err
}

// Tell implements [pairTalk].
func (t *linkTalk) Tell(_ context.Context, gen uint64, addrs []string) error {
	if gen == genStored {
		return t.send(&wire.PairStored{})
	}
	return t.send(&wire.PairAgreed{Addrs: addrs[:min(len(addrs), proto.MaxPairAddrs)]})
}

// Hear implements [pairTalk].
func (t *linkTalk) Hear(ctx context.Context, gen uint64) ([]string, error) {
	if gen == genStored {
		return nil, t.read(ctx, &wire.PairStored{})
	}
	var m wire.PairAgreed
	err := t.read(ctx, &m)
	return m.Addrs, err
}

// Watch implements [pairTalk]. The end of the link ends the context of the talk.
func (t *linkTalk) Watch(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Closed implements [pairTalk]: the transfers of the link end once all was read.
func (t *linkTalk) Closed(context.Context) {}

// Close implements [pairTalk]: the link ends with the talk.
func (t *linkTalk) Close(context.Context, string) {}

func (t *linkTalk) send(m wire.Message) error {
	_, err := t.to.Write(wire.AppendFrame(nil, m))
	return t.ended(err)
}

// read reads the next frame into m.
func (t *linkTalk) read(ctx context.Context, m wire.Message) error {
	defer context.AfterFunc(ctx, func() { _ = t.from.CloseWithError(context.Cause(ctx)) })()
	_, body, err := wire.ReadFrame(t.from, m.Type())
	switch {
	case err == nil:
		return wire.ParseBody(body, m)
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return t.ended(err)
}

// ended returns why the talk has ended: this end gives up, the other end breaks the
// protocol or is gone, or it has closed the link, for whatever reason of its own.
func (t *linkTalk) ended(err error) error {
	switch code := proto.CodeOf(err); {
	case err == nil, t.tool.Err() != nil:
		return err
	case errors.Is(err, link.ErrBroken):
		return proto.Errorf(proto.Unreachable, "the other side is gone: %w", err)
	case code == proto.Timeout, code == proto.Protocol:
		return err
	}
	return proto.Errorf(proto.Declined, "the other side has said no, or has ended")
}

// mintedHere is a guard that admits with tokens of this process alone: neither by key, nor
// with a token that another listener of this node takes too.
type mintedHere struct{ handshake.Guard }

// Find implements [handshake.Guard].
func (g mintedHere) Find(h *wire.Hello, dialer identity.ID) (token.Admission, error) {
	if h.Method != wire.MethodToken {
		return token.Admission{}, proto.Errorf(proto.Denied, "no token for pairing")
	}
	return g.Guard.Find(h, dialer)
}
