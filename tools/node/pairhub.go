package node

import (
	"context"
	"errors"
	"net/netip"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
)

// hubTalk is a [pairTalk] by way of a hub, which cannot read it.
type hubTalk struct{ *agent.Pairing }

// Tell implements [pairTalk]. The addresses with a host name have a list of their own.
func (t hubTalk) Tell(ctx context.Context, gen uint64, addrs []string) error {
	var m hub.Meeting
	for i, addr := range addrs {
		at, err := netip.ParseAddrPort(addr)
		if err != nil {
			m.Hosts = append(m.Hosts, addr)
			continue
		}
		c := candidate.At(candidate.Host, candidate.TCP, at, uint16(0xffff-i))
		if _, err := candidate.Parse(c.String()); err == nil && len(m.Candidates) < hub.MaxCandidates {
			m.Candidates = append(m.Candidates, hub.Candidate(c))
		}
	}
	return t.Pairing.Tell(ctx, gen, m)
}

// Hear implements [pairTalk].
func (t hubTalk) Hear(ctx context.Context, gen uint64) (addrs []string, err error) {
	m, err := t.Pairing.Hear(ctx, gen)
	for _, c := range m.Candidates {
		addrs = append(addrs, c.Addr)
	}
	return append(addrs, m.Hosts...), err
}

// Closed implements [pairTalk].
func (t hubTalk) Closed(ctx context.Context) { t.Pairing.Closed(ctx, pairLeaveTime) }

// met returns the node that has proven a code at the hub with the index i.
func (p *pairing) met(i int, s agent.Session) *acquainted {
	talk := hubTalk{p.hubs.agents[i].Pair(s)}
	return &acquainted{
		agree: func(ctx context.Context) error {
			p.talk, p.local = talk, proto.IsLoopbackHost(p.hubs.urls[i].Name())
			p.stranger = Stranger{ID: s.Peer, Name: s.Name, AtHub: p.hubs.urls[i].Name()}
			return p.agree(ctx)
		},
		refuse: func() { talk.Close(context.Background(), "declined") },
	}
}

// showCode shows a code at the first hub that gives one, until a node has proven it. It
// closes shown with the first code.
func (p *pairing) showCode(ctx context.Context, shown chan<- struct{}) (_ *acquainted, err error) {
	for i, a := range p.hubs.agents {
		isShown := false
		s, failed := a.OfferCode(ctx, agent.CodeOffer{
			Kind: hub.KindPair,
			Grant: func(context.Context, agent.CodeDialer) (hub.Grant, func(), error) {
				return hub.Grant{Method: hub.MethodKey}, nil, nil
			},
			Show: func(c hub.Code, why error) {
				if !isShown {
					isShown = true
					close(shown)
				}
				p.node.showPairCode(p.offer, c, p.hubs.urls[i], why)
			},
		})
		if failed == nil {
			return p.met(i, s), nil
		}
		if err == nil || isShown {
			err = failed
		}
		if isShown || ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// showPairCode tells the user a code.
func (n *Node) showPairCode(o Offer, c hub.Code, at hub.URL, why error) {
	n.reporter.emit(event{Event: "code", Hub: at.Name(), ShortCode: c.Encode()})
	if why != nil {
		n.note(proto.EscapeText(why.Error()) + "; there is a new code")
	}
	command := n.options.Name + " " + c.Encode()
	n.note(otherSide + ", run: " + command)
	n.handOver(o, c.Encode(), command, true)
}

// claim proves the code at the first hub that has it.
func (p *pairing) claim(ctx context.Context, peer Peer) (*acquainted, error) {
	p.hubs = p.node.openHubs(p.node.hubsFor(peer.hub), false, nil)
	s, at, err := p.hubs.claim(ctx, *peer.hub.code, []hub.Kind{hub.KindPair})
	if _, wrong := errors.AsType[*agent.KindError](err); wrong {
		return nil, proto.Hint(err, "mesh-pair without an argument shows a code for pairing")
	}
	if err != nil {
		return nil, codeHint(err)
	}
	return p.met(at, s), nil
}
