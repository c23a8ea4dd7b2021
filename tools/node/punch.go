package node

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/link"
	"mesh/proto/nat"
	"mesh/proto/path"
	"mesh/proto/transport"
)

const (
	// punchAfter is how long a dialer tries the addresses that it knows before it looks for
	// others: in one network the link is there by then.
	punchAfter = 100 * time.Millisecond
	// punchTime is how long a dial waits for a hole where nothing else leads to the peer.
	punchTime = 6 * time.Second
	// tcpPatience is how long a hole for QUIC is kept back while one for TCP may come, whose
	// congestion control is the kernel's: see [path.Bulk].
	tcpPatience = 500 * time.Millisecond
	// maxPunching bounds the sessions of a listener in which it punches at a time.
	maxPunching = 64
)

// punching looks for direct paths between the two ends of one session. Each end tells the
// other its candidates by the hub, and both punch holes into the NATs and firewalls
// between them: by checks over UDP, and by simultaneous connects over TCP.
type punching struct {
	endpoint *link.Endpoint
	updates  *agent.Updates
	role     string // of this end
	bulk     bool   // TCP is better than QUIC
	servers  func(context.Context) []netip.AddrPort
	hosts    func() []hub.Candidate
	via      path.Via
	local    bool // candidates at loopback addresses may be dialled
	log      func(text string, args ...any)
	changed  func() <-chan struct{} // the next change of this machine's network
	// take takes a TCP connection of a listener's hole. A dialer keeps its connections for
	// the next dial.
	take func(net.Conn)

	ctx     context.Context
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	checker *nat.Checker // nil without UDP
	dials   *nat.Dials   // of the holes of all rounds

	mu     sync.Mutex
	here   string                // the kind of NAT of this end; "" while it is not known
	there  string                // that of the other end
	remote []candidate.Candidate // the other end's newest list
	holes  []*nat.Hole           // of the round
	begun  time.Time             // of the round
	pairs  []candidate.Candidate // proven
	conns  []net.Conn            // of holes
	found  chan struct{}         // closed at the next change of pairs and conns
}

// punchForListener begins to look for direct paths to the listener of a session that a hub
// has made; nil if there can be none.
func (n *Node) punchForListener(m *meeting, a answer) *punching {
	via, ok := m.target.Via.And(peerVia(a.session))
	if !ok {
		return nil
	}
	return n.punch(n.life, a.session.Keys, &punching{
		endpoint: m.endpoint, updates: a.session.Updates, role: hub.RoleDialer, bulk: m.target.Prefer == path.Bulk, via: via, local: m.local(),
		hosts: func() (list []hub.Candidate) {
			if m.endpoint.Mux() == nil {
				return nil
			}
			for _, c := range (spot{node: n, at: n.boundTo(m.endpoint)}).candidates() {
				if c.Proto == candidate.UDP { // a dialer listens at no TCP port
					list = append(list, c)
				}
			}
			return list
		},
	})
}

// punchForDialer is the same for the dialer of a session.
func (n *Node) punchForDialer(ctx context.Context, s session, at spot) *punching {
	return n.punch(ctx, s.keys, &punching{
		endpoint: at.endpoint, updates: s.updates, role: hub.RoleListener, via: n.options.Via, local: proto.IsLoopbackHost(s.at.Name()), hosts: at.candidates,
		take: func(conn net.Conn) {
			c := transport.Carrier{Conn: conn, Path: punchedPath(conn), Source: s.dialer.String()}
			if err := at.endpoint.Take(c); err != nil {
				n.Log.Info("connection through a hole is not taken", "from", conn.RemoteAddr(), "err", err)
			}
		},
	})
}

// punch starts p. It returns nil if there is no STUN server, or the paths that are allowed
// need no hole.
func (n *Node) punch(ctx context.Context, keys *hub.Keys, p *punching) *punching {
	if p.updates == nil || keys == nil {
		return nil
	}
	texts := append(slices.Clone(n.options.Reach.STUN), p.updates.STUN()...)
	if len(texts) == 0 || p.via.Kind != "" && p.via.Kind != path.Direct {
		return nil
	}
	p.servers = func(ctx context.Context) []netip.AddrPort { return resolveServers(ctx, texts, p.local) }
	p.log, p.changed = func(text string, args ...any) { n.Log.Debug(text, args...) }, n.nextChange
	p.start(ctx, keys)
	return p
}

// start begins to punch. It ends with close, or when the node closes.
func (p *punching) start(life context.Context, keys *hub.Keys) {
	p.ctx, p.cancel = context.WithCancel(life)
	p.found = make(chan struct{})
	p.dials = nat.NewDials()
	if mux := p.endpoint.Mux(); mux != nil && p.via.Uses(proto.ViaQUIC) {
		own, peer := keys.Punch(p.role)
		p.checker = mux.Check(nat.Session{ID: keys.Session, Own: own, Peer: peer, Dialer: p.role == hub.RoleDialer, Local: p.local})
		p.tasks.Go(p.prove)
	}
	p.tasks.Go(p.hear)
	p.tasks.Go(p.follow)
	if p.role == hub.RoleDialer {
		p.tasks.Go(func() {
			select {
			case <-time.After(punchAfter):
				p.round()
			case <-p.ctx.Done():
			}
		})
	}
	context.AfterFunc(p.ctx, p.end)
}

// close ends the punching. Connections that a dial has taken live on. A nil *punching has
// none.
func (p *punching) close() {
	if p != nil {
		p.cancel()
	}
}

// over reports whether the punching has ended, as it does when the hub knows the session no
// more. A nil *punching never does.
func (p *punching) over() bool { return p != nil && p.ctx.Err() != nil }

func (p *punching) end() {
	p.updates.Close()
	if p.checker != nil {
		p.checker.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.holes {
		go h.Close()
	}
	for _, c := range p.conns {
		c.Close()
	}
	p.holes, p.conns = nil, nil
}

// hear takes the other end's lists. A listener answers each with one of its own.
func (p *punching) hear() {
	for u := range p.updates.Heard() {
		p.log("candidates of the peer", "nat", u.NAT, "list", u.Candidates)
		p.mu.Lock()
		p.remote, p.there = u.Candidates, u.NAT
		holes := slices.Clone(p.holes)
		p.mu.Unlock()
		if p.checker != nil {
			p.checker.Remote(u.Gen, u.Candidates)
		}
		if p.role == hub.RoleListener {
			p.tasks.Go(p.round)
			continue
		}
		for _, h := range holes {
			h.Connect(p.ctx, u.Candidates)
		}
	}
	p.cancel()
}

// prove notes the pairs that the checks have proven.
func (p *punching) prove() {
	for pair := range p.checker.Proven() {
		p.log("path proven", "addr", pair.Addr, "type", pair.Type, "rtt", pair.RTT)
		c := candidate.At(pair.Type, candidate.UDP, pair.Addr, 0)
		p.mu.Lock()
		if !slices.Contains(p.pairs, c) {
			p.pairs = append(p.pairs, c)
			p.changeLocked()
		}
		p.mu.Unlock()
	}
}

// follow begins another round at each change of this machine's network: the other end knows
// addresses that are no longer this one's.
func (p *punching) follow() {
	for {
		changed := p.changed()
		select {
		case <-changed:
		case <-p.ctx.Done():
			return
		}
		p.log("another network: candidates are told anew")
		p.mu.Lock()
		p.pairs = nil
		p.mu.Unlock()
		p.begin()
	}
}

func (p *punching) changeLocked() {
	close(p.found)
	p.found = make(chan struct{})
}

// again begins another round, unless one is under way. It does not block. A nil *punching does nothing.
func (p *punching) again() {
	if p == nil {
		return
	}
	p.mu.Lock()
	runs := time.Since(p.begun) < punchTime
	p.mu.Unlock()
	if !runs {
		p.begin()
	}
}

// begin begins another round.
func (p *punching) begin() {
	if p.checker != nil {
		p.checker.Again()
	}
	p.tasks.Go(p.round)
}

// feed sends the direct paths that are found until ctx ends or the punching does. A nil
// *punching finds none.
func (p *punching) feed(ctx context.Context, w *ways) {
	if p == nil {
		return
	}
	told := make(map[candidate.Candidate]bool)
	for {
		changed, later := p.tell(ctx, w, told)
		select {
		case <-changed:
		case <-later:
		case <-ctx.Done():
			return
		case <-p.ctx.Done():
			return
		}
	}
}

// tell sends the paths that are found and not told. It returns a channel that is closed at
// the next change, and one that says that it is time to send the pairs that are kept back,
// nil if none are.
func (p *punching) tell(ctx context.Context, w *ways, told map[candidate.Candidate]bool) (changed <-chan struct{}, later <-chan time.Time) {
	p.mu.Lock()
	conns, pairs := p.conns, slices.Clone(p.pairs)
	p.conns, changed = nil, p.found
	wait := time.Until(p.begun.Add(tcpPatience))
	if !p.bulk || len(p.holes) == 0 || len(conns) > 0 {
		wait = 0
	}
	p.mu.Unlock()
	for _, conn := range conns {
		w.addRoute(ctx, p.route(conn))
	}
	for _, c := range pairs {
		if told[c] {
			continue
		}
		if wait > 0 {
			return changed, time.After(wait)
		}
		told[c] = true
		w.addCandidate(ctx, c)
	}
	return changed, nil
}
