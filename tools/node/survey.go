package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/link"
	"mesh/proto/nat"
	"mesh/proto/path"
)

const (
	// secondHole is how long a ping waits for a hole over one transport once it has one over
	// the other.
	secondHole = 2 * time.Second
	// maxTold bounds the failed paths in an error.
	maxTold = 4
)

// survey pings a peer once over each path that may lead there.
type survey struct {
	meeting *meeting
	target  link.Target
	session *answer // nil if the hubs have made none
	done    chan Way
	running int
	ways    []Way // that have answered, the best first when ping has returned
	failed  []Way
	hole    time.Time // when the first hole was found
}

func newSurvey(m *meeting) *survey {
	return &survey{meeting: m, target: m.target, done: make(chan Way, 1)}
}

// close ends the search for holes, and the session at the hub.
func (s *survey) close() {
	if s.session == nil {
		return
	}
	punchOf(s.meeting).close()
	kind := ""
	if len(s.ways) > 0 {
		kind = string(s.ways[0].Path.Kind)
	}
	s.session.at.Closed(s.meeting.node.life, s.session.session, "pinged", kind)
}

func punchOf(m *meeting) *punching {
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	return m.punch
}

// ping pings the addresses that are known here, and if nobody answers there, those that a
// hub knows. An error says that nobody has answered.
func (s *survey) ping(ctx context.Context) error {
	m := s.meeting
	var known error // of the addresses that are known here
	if direct, _ := s.target.Via.Reaches(); len(s.target.Addrs) > 0 && (direct || len(m.urls) == 0) {
		t := s.target
		if len(m.urls) > 0 {
			t.AttemptTimeout = pingTimeout
		}
		var got link.Ping
		got, known = m.pingKnown(ctx, t)
		if known == nil {
			return s.other(ctx, got)
		}
		if len(m.urls) == 0 || proto.CodeOf(known) == proto.Identity || ctx.Err() != nil {
			return known
		}
		s.failed = append(s.failed, Way{Addr: strings.Join(s.target.Addrs, ", "), Err: known})
	}
	a := m.ask(ctx)
	if a.err != nil {
		s.failed = nil
		return cmp.Or(known, a.err)
	}
	t, err := m.learnTarget(a)
	s.session = &a
	if err != nil {
		return err
	}
	s.target = t
	s.run(ctx)
	s.settle()
	if len(s.ways) == 0 {
		return s.failure(ctx)
	}
	if !m.byToken() {
		m.node.noteMet(m.peer, t.ID, a.grade)
	}
	return nil
}

// pingKnown pings a target at its addresses, or where it answers in the local networks.
func (m *meeting) pingKnown(ctx context.Context, t link.Target) (link.Ping, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := newWays()
	go m.fill(ctx, w, t.ID, func() {})
	return m.endpoint.Ping(ctx, w.of(t))
}

// other pings over the transport that the first answer has not come by, at the same address.
func (s *survey) other(ctx context.Context, first link.Ping) error {
	e := s.meeting.endpoint
	s.ways = append(s.ways, Way{again: s.at(first.Via, first.Addr)}.answered(first, nil))
	via := proto.ViaQUIC
	if first.Via == via {
		via = proto.ViaTCP
	}
	if first.Path.Kind == path.Relay || !e.Has(via) {
		return nil
	}
	s.start(ctx, Way{Path: path.To(e.Endpoint, via, first.Addr.Addr()), Addr: first.Addr.String(), again: s.at(via, first.Addr)})
	s.note(<-s.done)
	return context.Cause(ctx)
}

// run pings over all paths of the session, until each has answered or failed, and no hole is
// to be expected.
func (s *survey) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := s.meeting
	m.foundMu.Lock()
	list, relay, punch := m.candidates, m.relay, m.punch
	m.foundMu.Unlock()
	for _, c := range list {
		s.startCandidate(ctx, c)
	}
	if relay != nil {
		s.start(ctx, s.over(relay.route(), candidate.Relay))
	}
	holes := newWays()
	go m.fill(ctx, holes, s.target.ID, func() {
		ctx, cancel := context.WithTimeout(ctx, punchTime)
		defer cancel()
		punch.feed(ctx, holes)
	})
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	candidates, routes := holes.candidates, holes.routes
	for s.running > 0 || candidates != nil && s.expects(punch) {
		select {
		case w := <-s.done:
			if w.hole && w.Type == "" {
				w.Type = punch.typeOf(w.Addr)
			}
			s.note(w)
		case c, ok := <-candidates:
			if !ok {
				candidates = nil
				break
			}
			s.startCandidate(ctx, c)
		case r, ok := <-routes:
			if !ok {
				routes = nil
				break
			}
			w := s.over(r, "")
			w.Once, w.hole = true, true
			s.start(ctx, w)
		case <-look.C:
		}
	}
	s.noteHoles(punch)
}

// startCandidate pings at a candidate, or through the hole that leads to it.
func (s *survey) startCandidate(ctx context.Context, c candidate.Candidate) {
	hole := c.Type == candidate.ServerReflexive || c.Type == candidate.PeerReflexive
	addr, ok := c.AddrPort()
	via := proto.ViaTCP
	if c.Proto == candidate.UDP {
		via = proto.ViaQUIC
	}
	e := s.meeting.endpoint
	if !ok || !e.Has(via) {
		return
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	to := path.To(e.Endpoint, via, addr.Addr())
	if !s.target.Via.Allows(to) {
		return
	}
	switch {
	case to.Kind != path.Direct:
	case c.Type == candidate.PortMapped:
		to.Kind = path.Mapped
	case hole:
		to.Kind = path.Punched
	}
	s.start(ctx, Way{Path: to, Addr: addr.String(), Type: c.Type, hole: hole, again: s.at(via, addr)})
}

func (s *survey) at(via string, addr netip.AddrPort) func(context.Context) (link.Ping, error) {
	return func(ctx context.Context) (link.Ping, error) {
		return s.meeting.endpoint.PingAt(ctx, s.target, via, addr)
	}
}

func (s *survey) over(r path.Route, t candidate.Type) Way {
	return Way{Path: r.Path, Type: t, again: func(ctx context.Context) (link.Ping, error) {
		return s.meeting.endpoint.PingOver(ctx, s.target, r)
	}}
}

// start pings over a path. The result arrives at s.done.
func (s *survey) start(ctx context.Context, w Way) {
	s.running++
	go func() { s.done <- w.answered(pingAgain(ctx, w.again)) }()
}

// answered returns the path with the result of its first ping.
func (w Way) answered(p link.Ping, err error) Way {
	if w.Err = err; err != nil {
		return w
	}
	w.Path, w.refused, w.RTTs = p.Path, p.Refused, []time.Duration{p.RTT}
	if p.Addr.IsValid() {
		w.Addr = p.Addr.String()
	}
	return w
}

func (s *survey) note(w Way) {
	s.running--
	if w.Err != nil {
		s.failed = append(s.failed, w)
		return
	}
	if w.hole && s.hole.IsZero() {
		s.hole = time.Now()
	}
	s.ways = append(s.ways, w)
}

// settle sorts the paths, the best first, and drops what is there twice: an address may have
// answered only once there was a hole.
func (s *survey) settle() {
	for _, ways := range [][]Way{s.ways, s.failed} {
		sort.SliceStable(ways, func(i, j int) bool { return ways[i].compare(ways[j]) < 0 })
	}
	var told []string
	twice := func(w Way) bool {
		name := w.name()
		if slices.Contains(told, name) {
			return true
		}
		told = append(told, name)
		return false
	}
	s.ways = slices.DeleteFunc(s.ways, twice)
	s.failed = slices.DeleteFunc(s.failed, twice)
}

// compare orders paths, the best first, and those of one kind TCP before UDP.
func (w Way) compare(other Way) int {
	switch {
	case w.Path.Kind.Better(other.Path.Kind):
		return -1
	case other.Path.Kind.Better(w.Path.Kind):
		return 1
	}
	return strings.Compare(w.Path.Proto, other.Path.Proto)
}

func (w Way) name() string { return w.Path.Proto + " " + w.Path.Relay + " " + w.Addr }

// Text returns the path and its address.
func (w Way) Text() string {
	if w.Path == (path.Path{}) {
		return w.Addr
	}
	return strings.TrimSpace(w.Path.String() + " " + w.Addr)
}

// failure returns why no path leads to the peer.
func (s *survey) failure(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(s.failed) == 0 {
		return proto.Errorf(proto.Unreachable, "no path to the peer is %s", s.target.Via)
	}
	var texts []string
	for _, w := range s.failed[:min(len(s.failed), maxTold)] {
		texts = append(texts, fmt.Sprintf("%s: %v", w.Text(), w.Err))
	}
	return proto.Errorf(proto.Unreachable, "no path leads to the peer; %s", strings.Join(texts, "; "))
}

// kinds returns the kinds of NAT of both ends.
func (s *survey) kinds() (here, there string) {
	if s.session == nil {
		return "", ""
	}
	p := punchOf(s.meeting)
	if p == nil {
		return "", ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.here, p.there
}

// expects reports whether a hole may still be found that is worth waiting for: none where the
// peer answers without one.
func (s *survey) expects(p *punching) bool {
	if p == nil || slices.ContainsFunc(s.ways, func(w Way) bool { return !w.hole && w.Path.Kind != path.Relay }) {
		return false
	}
	if !s.hole.IsZero() && time.Since(s.hole) > secondHole {
		return false
	}
	for _, via := range []string{proto.ViaTCP, proto.ViaQUIC} {
		if _, never := p.missing(via); !never && p.via.Uses(via) && !s.hasHole(via) {
			return true
		}
	}
	return false
}

func (s *survey) hasHole(via string) bool {
	return slices.ContainsFunc(s.ways, func(w Way) bool {
		return w.hole && strings.HasPrefix(w.Path.Proto, "tcp") == (via == proto.ViaTCP)
	})
}

// noteHoles notes why no hole was found.
func (s *survey) noteHoles(p *punching) {
	if p == nil || slices.ContainsFunc(s.ways, func(w Way) bool { return !w.hole && w.Path.Kind != path.Relay }) {
		return
	}
	for _, via := range []string{proto.ViaTCP, proto.ViaQUIC} {
		network := "tcp"
		if via == proto.ViaQUIC {
			network = "udp"
		}
		if p.via.Uses(via) && !s.hasHole(via) {
			why, _ := p.missing(via)
			s.failed = append(s.failed, Way{Path: path.Path{Kind: path.Punched, Proto: network}, hole: true, Err: errors.New(why)})
		}
	}
}

// typeOf returns the type of the candidate to whose address a TCP hole leads.
func (p *punching) typeOf(addr string) candidate.Type {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.remote {
		if c.Proto == candidate.TCP && c.Addr == addr {
			return c.Type
		}
	}
	return candidate.PeerReflexive
}

// missing says why there is no hole over a transport, and whether there can never be one.
func (p *punching) missing(via string) (why string, never bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	network, blocked := candidate.TCP, string(nat.Blocked)
	if via == proto.ViaQUIC {
		network = candidate.UDP
	}
	known := slices.ContainsFunc(p.remote, func(c candidate.Candidate) bool { return c.Proto == network && c.Type == candidate.ServerReflexive })
	switch {
	case network == candidate.UDP && p.checker == nil:
		return "no UDP at this end", true
	case network == candidate.UDP && p.here == blocked:
		return "this network blocks UDP", true
	case network == candidate.UDP && p.there == blocked:
		return "the network of the peer blocks UDP", true
	case p.remote == nil:
		return "the peer has told no addresses for it", false
	case !known:
		return "the peer knows no address of its own that others see", false
	case network == candidate.UDP && p.here == string(nat.EDM) && p.there == string(nat.EDM):
		return "both NATs have another port for each destination", true
	}
	return "no packet came through", false
}
