package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
)

// Stranger is a node that has proven a code for pairing.
type Stranger struct {
	ID    identity.ID
	Name  string // the hub's word, "" for none
	AtHub string
}

// Terms are what a user decides about a node that is paired with.
type Terms struct {
	Name string     // in the address book
	Caps proto.Caps // what it may do here without a token; 0: nothing
}

// Pairing says how two nodes get to know each other for good.
type Pairing struct {
	// Code is what the other side shows; "" shows one here.
	Code string
	// Decide is asked once the other node has proven the code, before anything is kept.
	Decide func(ctx context.Context, s Stranger) (Terms, error)
}

const (
	// pairAnswerTime is how long the user of the other side may take to decide: two
	// questions.
	pairAnswerTime = 2*time.Minute + 30*time.Second
	// pairStoreTime is how long the other side may take to write what it keeps.
	pairStoreTime = 30 * time.Second
	// pairLeaveTime is how long the end that shows the code waits for the other one to
	// have read its last word.
	pairLeaveTime = 5 * time.Second
)

// Each end tells the other that it has decided, and then that it has stored.
const (
	genDecided = 1
	genStored  = 2
)

// Pair makes this node and another one know each other: both are in the address book and
// in authorized_peers of the other one, on the disk, when Pair returns without an error.
// If either side says no, neither is changed.
func (n *Node) Pair(ctx context.Context, o Pairing) (Stranger, Terms, error) {
	i := &introduction{}
	if o.Code != "" {
		c, err := hub.ParseCode(o.Code)
		if err != nil {
			return Stranger{}, Terms{}, err
		}
		i.host, i.code = c.Host, &c
	}
	urls := n.hubsFor(i)
	if len(urls) == 0 {
		err := proto.Errorf(proto.Usage, "two nodes are paired at a hub, and this node has none")
		return Stranger{}, Terms{}, proto.Hint(err, "mesh-hub join, or --hub URL; without a hub: mesh-token peer add here, mesh-token allow on the other side")
	}
	h := n.openHubs(urls, false, nil)
	defer h.close()
	p := &pairing{node: n, hubs: h, decide: o.Decide}
	meet := p.show
	if i.code != nil {
		meet = func(ctx context.Context) error { return p.claim(ctx, i.code) }
	}
	if err := meet(ctx); err != nil {
		return Stranger{}, Terms{}, err
	}
	err := p.agree(ctx)
	return p.stranger, p.terms, err
}

// pairing is one call of [Node.Pair].
type pairing struct {
	node   *Node
	hubs   *hubs
	decide func(ctx context.Context, s Stranger) (Terms, error)

	shows    bool // this end has shown the code
	stranger Stranger
	terms    Terms
	talk     *agent.Pairing
}

// met notes who has proven the code.
func (p *pairing) met(i int, s agent.Session) {
	p.talk = p.hubs.agents[i].Pair(s)
	p.stranger = Stranger{ID: s.Peer, Name: s.Name, AtHub: p.hubs.urls[i].Name()}
}

// show shows a code at the first hub that gives one, until a node has proven it.
func (p *pairing) show(ctx context.Context) (err error) {
	p.shows = true
	for i, a := range p.hubs.agents {
		shown := false
		s, failed := a.OfferCode(ctx, agent.CodeOffer{
			Kind: hub.KindPair,
			Grant: func(context.Context, agent.CodeDialer) (hub.Grant, func(), error) {
				return hub.Grant{Method: hub.MethodKey}, nil, nil
			},
			Show: func(c hub.Code, why error) {
				shown = true
				p.node.showPairCode(c, p.hubs.urls[i], why)
			},
		})
		if failed == nil {
			p.met(i, s)
			return nil
		}
		if err == nil || shown {
			err = failed
		}
		if shown || ctx.Err() != nil {
			break
		}
	}
	return err
}

// showPairCode tells the user a code.
func (n *Node) showPairCode(c hub.Code, at hub.URL, why error) {
	n.reporter.emit(event{Event: "code", Hub: at.Name(), ShortCode: c.Encode()})
	if why != nil {
		n.note(proto.EscapeText(why.Error()) + "; there is a new code")
	}
	n.note(otherSide + ", run: " + n.options.Name + " " + c.Encode())
}

// claim proves the code at the first hub that has it.
func (p *pairing) claim(ctx context.Context, c *hub.Code) error {
	s, at, err := p.hubs.claim(ctx, *c, []hub.Kind{hub.KindPair})
	if _, wrong := errors.AsType[*agent.KindError](err); wrong {
		return proto.Hint(err, "mesh-pair without an argument shows a code for pairing")
	}
	if err != nil {
		return codeHint(err)
	}
	p.met(at, s)
	return nil
}

// agree asks the user, and keeps the other node if that one does the same.
func (p *pairing) agree(ctx context.Context) (err error) {
	reason := "declined"
	defer func() { p.talk.Close(ctx, reason) }()
	if p.stranger.ID == p.node.Key.ID() {
		return proto.Errorf(proto.Identity, "the code was proven by this node itself")
	}
	if p.terms, err = p.decide(ctx, p.stranger); err != nil {
		return err
	}
	if err := p.node.checkTerms(p.stranger.ID, p.terms); err != nil {
		return err
	}
	theirs, err := p.decided(ctx)
	if err != nil {
		return err
	}
	undo, err := p.node.keep(p.stranger.ID, p.terms, p.addrs(theirs))
	if err != nil {
		return err
	}
	if err := p.stored(ctx); err != nil {
		return p.unsure(err, undo)
	}
	reason = "paired"
	p.node.reporter.emit(event{Event: "paired", Hub: p.stranger.AtHub, PeerID: p.stranger.ID.String(), PeerName: p.terms.Name, Allows: p.terms.Caps.String()})
	return nil
}

// decided tells the other end that this one wants the pairing, and where it waits for
// good, and blocks until the other one says the same.
func (p *pairing) decided(ctx context.Context) (hub.Meeting, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pairAnswerTime, proto.Errorf(proto.Timeout, "the other side has not answered for %s", pairAnswerTime))
	defer cancel()
	if err := p.talk.Tell(ctx, genDecided, hub.Meeting{Candidates: p.node.lastingCandidates()}); err != nil {
		return hub.Meeting{}, err
	}
	return p.talk.Hear(ctx, genDecided)
}

// stored tells the other end that this one has stored it, and blocks until the other one
// has too. The end that has shown the code speaks last.
func (p *pairing) stored(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pairStoreTime, proto.Errorf(proto.Timeout, "the other side has not answered for %s", pairStoreTime))
	defer cancel()
	if !p.shows {
		if err := p.talk.Tell(ctx, genStored, hub.Meeting{}); err != nil {
			return err
		}
		_, err := p.talk.Hear(ctx, genStored)
		return err
	}
	if _, err := p.talk.Hear(ctx, genStored); err != nil {
		return err
	}
	if err := p.talk.Tell(ctx, genStored, hub.Meeting{}); err != nil {
		return nil // both have stored; the other end says that it has not heard so
	}
	ctx, cancel = context.WithTimeout(ctx, pairLeaveTime)
	defer cancel()
	p.talk.Closed(ctx)
	return nil
}

// unsure handles an error after this end has stored: it takes that back if the other end
// has said no. An end that is silent may have stored too.
func (p *pairing) unsure(err error, undo func() error) error {
	if proto.CodeOf(err) == proto.Declined {
		return errors.Join(err, undo())
	}
	err = proto.Errorf(proto.CodeOf(err), "%s is kept here, and the other side has not said that it keeps this node: %w", p.terms.Name, err)
	return proto.Hint(err, "pair once more, or take it back: mesh-token revoke "+p.terms.Name+", mesh-token peer forget "+p.terms.Name)
}

// addrs returns the addresses among what the other end has told that may be dialled.
func (p *pairing) addrs(m hub.Meeting) (list []string) {
	local := slices.ContainsFunc(p.hubs.urls, func(u hub.URL) bool { return isLoopback(u.Name()) })
	for _, c := range m.Candidates {
		c := candidate.Candidate(c)
		addr := c.Addr
		if c.Dialable(local) && !slices.Contains(list, addr) && identity.CheckAddr(addr) == nil && len(list) < identity.MaxAddrs {
			list = append(list, addr)
		}
	}
	return list
}

// lastingCandidates returns where this node waits for good: at the addresses of the listener
// that was started last to serve many peers, else at the default port.
func (n *Node) lastingCandidates() (list []hub.Candidate) {
	addrs, err := ListenerAddrs(n.Book)
	if err != nil {
		n.Warn(err)
	}
	if len(addrs) == 0 {
		if own, err := net.InterfaceAddrs(); err == nil {
			addrs = reachable(own, DefaultPort, false)
		}
	}
	for i, addr := range addrs {
		at, err := netip.ParseAddrPort(addr)
		if err != nil {
			continue // the name of a host: the other node would have to look it up
		}
		c := candidate.At(candidate.Host, candidate.TCP, at, uint16(0xffff-i))
		if _, err := candidate.Parse(c.String()); err == nil && len(list) < hub.MaxCandidates {
			list = append(list, hub.Candidate(c))
		}
	}
	return list
}

// checkTerms refuses a name that cannot be given to a node.
func (n *Node) checkTerms(id identity.ID, t Terms) error {
	if err := CheckPairName(t.Name); err != nil {
		return err
	}
	known, found, err := n.Book.Lookup(t.Name)
	if err == nil && found && known.ID != id {
		err = proto.Errorf(proto.Identity, "peer %s is known with another key; nothing is changed", t.Name)
		return proto.Hint(err, "--name gives another name; if the key was changed on purpose: mesh-token peer forget "+t.Name)
	}
	return err
}

// CheckPairName returns an error with code [proto.Usage] unless a name may be given to a
// node: one of the address book that is no code.
func CheckPairName(name string) error {
	err := identity.CheckName(name)
	if err == nil && hub.IsCode(name) {
		err = fmt.Errorf("name %s: it has the form of a code", name)
	}
	if err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	return nil
}

// keep writes a node into the address book and into authorized_peers. undo puts both back.
// After an error nothing is changed.
func (n *Node) keep(id identity.ID, t Terms, addrs []string) (undo func() error, err error) {
	old, known, err := n.Book.Lookup(t.Name)
	if err != nil {
		return nil, err
	}
	caps, err := n.Book.Authorized(id)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		addrs = old.Addrs
	}
	if err := n.Book.Add(identity.Peer{Name: t.Name, ID: id, Addrs: addrs}); err != nil {
		return nil, err
	}
	undo = func() error {
		if known {
			err = n.Book.Add(old)
		} else {
			_, err = n.Book.Forget(t.Name)
		}
		return errors.Join(err, n.Book.Allow(id, caps))
	}
	if err := n.Book.Allow(id, t.Caps); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}
