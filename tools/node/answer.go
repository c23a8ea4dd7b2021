package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// settleTime bounds the wait for what the hubs say about a name.
const settleTime = 5 * time.Second

// presence is a waiter at the hubs of its node: it is online under its name, and answers
// the dialers that ask for it there.
type presence struct {
	node  *Node
	offer Offer
	at    net.Addr // the node's socket
	guard *strangers
	hubs  *hubs
	fail  context.CancelCauseFunc // of the waiter

	mu      sync.Mutex
	named   map[string]bool // by URL, whether the hub has registered the name; with a room, whether this is in it
	told    map[string]bool // the hubs whose loss the user knows
	heard   map[string]bool // the hubs that have answered, or cannot be reached
	settled chan struct{}   // closed when all hubs are in heard
	refused map[identity.ID]bool
	asking  sync.Mutex // held while the user is asked
}

// present begins to be online for an offer, if the node has hubs and the offer has a name,
// has rooms, or lasts. fail ends the waiter.
func (n *Node) present(o Offer, at net.Addr, guard *strangers, fail context.CancelCauseFunc) *presence {
	lasts := !o.Once && !o.Temporary
	if len(n.options.Hubs) == 0 || o.As == "" && len(o.Rooms) == 0 && !lasts {
		return nil
	}
	p := &presence{node: n, offer: o, at: at, guard: guard, fail: fail, named: make(map[string]bool), told: make(map[string]bool), heard: make(map[string]bool), settled: make(chan struct{}), refused: make(map[identity.ID]bool)}
	p.hubs = n.openHubs(n.options.Hubs, o.As == "", func(a *agent.Agent, u hub.URL) {
		a.Registers, a.Rooms = p.registers(), o.Rooms
		a.OnJoined = func(room string, err error) { p.joined(u, room, err) }
		a.OnRegistered = func(_ hub.Register, got hub.Registered) { p.registered(u, got) }
		a.OnState = func(err error) { p.state(u, err) }
		a.OnOffer = func(ctx context.Context, of agent.Offer) agent.Answer { return p.answer(ctx, u, of) }
	})
	return p
}

func (p *presence) stop() {
	if p != nil {
		p.hubs.close()
	}
}

// hostName returns the name of this machine without its domain, "" if that can be no name.
func hostName() string {
	host, err := os.Hostname()
	name, _, _ := strings.Cut(strings.ToLower(host), ".")
	if err != nil || name == "localhost" || hub.CheckName(name) != nil {
		return ""
	}
	return name
}

// registers returns what the hubs are told: the name that the user gave; or for a listener
// that lasts the name of this machine, and for the case that this is taken its kinds alone;
// or these for a tool that is found by its rooms and its node id.
func (p *presence) registers() []hub.Register {
	lasts := !p.offer.Once && !p.offer.Temporary
	byID := hub.Register{Kinds: p.kinds()}
	switch {
	case p.offer.As != "":
		return []hub.Register{{Name: p.offer.As, Kinds: p.kinds(), Lasting: lasts}}
	case lasts:
		return []hub.Register{{Name: hostName(), Kinds: p.kinds(), Lasting: true}, byID}
	}
	return []hub.Register{byID}
}

// kinds returns the kinds of transfers that are taken.
func (p *presence) kinds() (list []hub.Kind) {
	for _, kind := range []string{wire.KindPipe, wire.KindFiles, wire.KindTTY} {
		if slices.Contains(p.offer.Kinds, kind) || p.takes(kind) {
			list = append(list, hub.Kind(kind))
		}
	}
	return list
}

func (p *presence) takes(kind string) bool {
	if p.offer.Takes == nil {
		return kind == wire.KindPipe
	}
	return p.offer.Takes(kind)
}

// registered handles what became of the name at a hub. A name that the user gave, and
// that another node has, ends the waiter when it begins.
func (p *presence) registered(u hub.URL, got hub.Registered) {
	if got.Name == "" {
		return
	}
	p.mu.Lock()
	first := !p.named[u.String()]
	p.named[u.String()] = p.named[u.String()] || got.Code == ""
	p.mu.Unlock()
	switch {
	case !first:
		p.node.Log.Info("registered at the hub again", "hub", u.Name(), "name", got.Name, "code", got.Code)
	case got.Code == "":
		p.node.reporter.emit(event{Event: "online", Hub: u.Name(), Name: got.Name})
		p.say("at hub " + u.Name() + " this is " + got.Name)
	case p.offer.As != "":
		p.fail(nameError(u, got))
	default:
		p.node.Warn(fmt.Errorf("%w; others reach this node by its id", nameError(u, got)))
	}
}

// joined tells the user once what became of a room at a hub.
func (p *presence) joined(u hub.URL, room string, err error) {
	key := u.String() + " room " + room
	p.mu.Lock()
	was, known := p.named[key]
	p.named[key] = err == nil
	p.mu.Unlock()
	switch {
	case known && was == (err == nil):
		p.node.Log.Info("room joined again", "hub", u.Name(), "room", room, "err", err)
	case err == nil:
		p.say("at hub " + u.Name() + " this node is in room " + room)
	case agent.CodeOf(err) == hub.CodeUnsupported:
		p.say("warning: hub " + u.Name() + " is of a version without rooms: nobody finds this node in room " + room)
	default:
		p.say(fmt.Sprintf("warning: hub %s: this node is not in room %s: %s", u.Name(), room, err))
	}
}

// nameError is the error for a name that a hub does not give.
func nameError(u hub.URL, got hub.Registered) error {
	code := agent.ExitCode(got.Code)
	switch got.Code {
	case hub.CodeTaken:
		since := (time.Duration(got.SinceS) * time.Second).Round(time.Minute)
		return proto.Errorf(code, "hub %s: the name %s is taken by %s, for %s now", u.Name(), got.Name, proto.QuoteText(got.Owner), since)
	case hub.CodeReserved:
		return proto.Errorf(code, "hub %s: the name %s is reserved for another node", u.Name(), got.Name)
	}
	return proto.Errorf(code, "hub %s does not register %s: %s", u.Name(), got.Name, proto.QuoteText(got.Code))
}

// state tells the user once that a hub cannot be reached, and when it is back.
func (p *presence) state(u hub.URL, err error) {
	p.mu.Lock()
	known := p.told[u.String()]
	p.told[u.String()] = err != nil
	p.mu.Unlock()
	defer p.hear(u)
	switch {
	case err != nil && !known:
		if !errors.Is(err, agent.ErrLogin) { // whose text names the hub
			err = fmt.Errorf("hub %s: %w", u.Name(), err)
		}
		p.say(fmt.Sprintf("warning: %s; waiting goes on without the hub until it is back", err))
		if proto.CodeOf(err) == proto.Denied {
			p.say("hint: " + MemberHint(p.node.Key.ID()))
		}
	case err == nil && known:
		p.say("hub " + u.Name() + " is back")
	}
}

// say prints a line; once a shared terminal has begun, it goes to the log.
func (p *presence) say(text string) {
	select {
	case <-p.settled:
		if p.offer.Temporary {
			p.node.Log.Info(text)
			return
		}
	default:
	}
	p.node.note(proto.HideSecrets(proto.EscapeText(text)))
}

// hear notes that there is an answer of a hub, or none to be had now.
func (p *presence) hear(u hub.URL) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heard[u.String()] {
		return
	}
	if p.heard[u.String()] = true; len(p.heard) == len(p.node.options.Hubs) {
		close(p.settled)
	}
}

// settle waits until the hubs have answered about a name that the user gave, and returns
// why the waiter must end.
func (p *presence) settle(failed context.Context) error {
	if p == nil || p.offer.As == "" {
		return nil
	}
	timer := time.NewTimer(settleTime)
	defer timer.Stop()
	select {
	case <-p.settled:
	case <-failed.Done():
	case <-timer.C:
	}
	return context.Cause(failed)
}

// answer decides about the request of another node: what authorized_peers allows, it gets.
// A node that has no rights is told no more than that.
func (p *presence) answer(ctx context.Context, at hub.URL, of agent.Offer) agent.Answer {
	caps, code := p.rights(of)
	why := token.Reason{What: "the key is in " + identity.AuthorizedPeersFile}
	byToken := false
	if code == hub.CodeDenied || code == hub.CodeCapability {
		if more, rule, ok := p.byRoom(of); ok {
			caps, code, why, byToken = more, "", rule, true
		}
	}
	asks := code == hub.CodeDenied && p.mayAsk()
	if code == hub.CodeDenied && !asks {
		p.guard.tell(of.From)
	}
	if (code == "" || asks) && !p.takes(string(of.Request.Kind)) {
		code = hub.CodeKind
	}
	if asks && code == hub.CodeDenied {
		var always bool
		caps, always, code = p.ask(ctx, at, of)
		why, byToken = token.Reason{What: "the user said yes"}, !always
	}
	g := hub.Grant{Method: hub.MethodKey}
	var undo func()
	if code == "" && byToken {
		g, undo, code = p.tokenFor(of.From, caps, why)
	}
	if code != "" {
		p.node.Log.Info("request declined", "peer", of.From, "name", of.Name, "kind", of.Request.Kind, "want", of.Request.Want, "code", code)
		return agent.Answer{Decline: code}
	}
	g.Caps, g.Via, g.Candidates = caps.String(), p.via(), p.candidates()
	a, _, err := of.Request.Accept(p.node.Key, of.Hub, of.From, g)
	if err != nil {
		p.node.Log.Info("request not answered", "peer", of.From, "err", err)
		return agent.Answer{Decline: hub.CodeBusy}
	}
	p.node.Log.Info("request accepted", "peer", of.From, "name", of.Name, "kind", of.Request.Kind, "caps", caps, "why", why.What)
	return agent.Answer{Accept: a, Undo: undo}
}

// rights returns what the dialer gets, or the code to decline with.
func (p *presence) rights(of agent.Offer) (caps proto.Caps, code string) {
	caps, err := p.node.Book.Authorized(of.From)
	switch {
	case err != nil:
		return 0, hub.CodeBusy
	case caps == 0 || p.offer.TokenOnly:
		return 0, hub.CodeDenied
	}
	return p.limit(of, caps)
}

// limit returns what of caps the dialer wants and this waiter offers it, or the code to
// decline with.
func (p *presence) limit(of agent.Offer, caps proto.Caps) (proto.Caps, string) {
	want, err := proto.ParseCaps(of.Request.Want)
	if err != nil {
		return 0, hub.CodeCapability
	}
	if p.offer.Limit != nil {
		most, err := p.offer.Limit(of.From)
		if err != nil {
			return 0, hub.CodeBusy
		}
		caps &= most
	}
	if caps &= p.offer.Caps & want; caps == 0 {
		return 0, hub.CodeCapability
	}
	return caps, ""
}

func (p *presence) via() string {
	if v := p.node.options.Via; v == proto.ViaQUIC || v == proto.ViaTCP {
		return v
	}
	return ""
}

// candidates returns where this node may be reached now: at the addresses that the user
// gave, and at its own.
func (p *presence) candidates() (list []hub.Candidate) {
	addrs := slices.Clone(p.offer.Addrs)
	if own, err := ownAddrs(p.at); err == nil {
		addrs = append(addrs, own...)
	}
	seen := make(map[netip.AddrPort]bool)
	for i, addr := range addrs {
		at, err := netip.ParseAddrPort(addr)
		if err != nil || seen[at] {
			continue // the name of a host: a peer would have to look it up
		}
		seen[at] = true
		for _, proto := range p.protocols() {
			c := candidate.At(candidate.Host, proto, at, uint16(0xffff-i))
			if _, err := candidate.Parse(c.String()); err == nil && len(list) < hub.MaxCandidates {
				list = append(list, hub.Candidate(c))
			}
		}
	}
	return list
}

func (p *presence) protocols() []candidate.Proto {
	switch p.via() {
	case proto.ViaQUIC:
		return []candidate.Proto{candidate.UDP}
	case proto.ViaTCP:
		return []candidate.Proto{candidate.TCP}
	}
	return []candidate.Proto{candidate.TCP, candidate.UDP}
}

// checkNames makes the name and the rooms of an offer what hubs take.
func (n *Node) checkNames(o *Offer) error {
	if o.As == "" && len(o.Rooms) == 0 {
		return nil
	}
	flag := "--as is the name at a hub"
	if o.As = strings.ToLower(o.As); o.As == "" {
		flag = "--room is a room at a hub"
	} else if err := hub.CheckName(o.As); err != nil {
		return proto.Errorf(proto.Usage, "--as: %w", err)
	}
	var err error
	if o.Rooms, err = checkRooms(o.Rooms); err != nil {
		return err
	}
	if len(n.options.Hubs) == 0 {
		return proto.Hint(proto.Errorf(proto.Usage, "%s, and this node has no hub", flag), "mesh-hub join, or --hub URL")
	}
	return nil
}

// checkRooms returns the rooms in the spelling of hubs, each once.
func checkRooms(rooms []string) (list []string, err error) {
	for _, room := range rooms {
		room = strings.ToLower(room)
		if err := hub.CheckRoom(room); err != nil {
			return nil, proto.Errorf(proto.Usage, "--room: %w", err)
		}
		if !slices.Contains(list, room) {
			list = append(list, room)
		}
	}
	if len(list) > hub.MaxRooms {
		return nil, proto.Errorf(proto.Usage, "--room: a listener is in at most %d rooms", hub.MaxRooms)
	}
	return list, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
