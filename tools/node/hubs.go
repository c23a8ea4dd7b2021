package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
)

const (
	// nextHubAfter is how long a hub may take to accept a request before the next one is
	// asked.
	nextHubAfter = time.Second
	// leaveTime bounds the orderly end of the connections to the hubs.
	leaveTime = time.Second
)

// hubs are connections of this process to the hubs of its node.
type hubs struct {
	urls   []hub.URL
	agents []*agent.Agent
	cancel context.CancelFunc
	done   chan struct{} // closed when all agents have ended
}

// openHubs begins to log in at the node's hubs, and stays logged in until close. set, if it
// is not nil, completes each agent before it runs.
func (n *Node) openHubs(urls []hub.URL, invited bool, set func(*agent.Agent, hub.URL)) *hubs {
	ctx, cancel := context.WithCancel(context.Background())
	h := &hubs{urls: urls, cancel: cancel, done: make(chan struct{})}
	instance := hub.NewID()
	var wg sync.WaitGroup
	for _, u := range urls {
		a := agent.New(agent.Options{URL: u, Key: n.Key, Instance: instance, Agent: n.options.Name, Vouchers: n.vouchers, Proxy: n.options.Reach.Proxy, Changed: n.nextChange, Log: n.Log})
		a.Invited = invited
		a.OnLogin = func(c *agent.Conn) { n.keepHub(u, c) }
		if set != nil {
			set(a, u)
		}
		h.agents = append(h.agents, a)
		wg.Go(func() { a.Run(ctx) })
	}
	go func() {
		wg.Wait()
		close(h.done)
	}()
	return h
}

// keepHub notes the key of a hub of this node whose URL names none.
func (n *Node) keepHub(u hub.URL, c *agent.Conn) {
	if u.Key == c.Hub || !slices.Contains(n.options.Hubs, u) { // the latter has taken a guest
		return
	}
	u.Key, u.Proxy = c.Hub, u.TLS && !c.Bound
	if err := (agent.Known{Dir: n.Book.Dir}).Add(u); err != nil {
		n.Warn(err)
	}
}

// vouchers returns those that this node shows at a hub. None are shown if the file cannot be
// read: a peer or a hub then says what is missing.
func (n *Node) vouchers(at identity.ID) []string {
	texts, err := agent.Vouchers{Dir: n.Book.Dir}.Shown(n.Key.ID(), at, time.Now())
	if err != nil {
		n.Warn(err)
	}
	return texts
}

// urlOf returns the URL of one of the hubs.
func (h *hubs) urlOf(a *agent.Agent) hub.URL { return h.urls[slices.Index(h.agents, a)] }

// close logs out. A nil *hubs has no connections.
func (h *hubs) close() {
	if h == nil {
		return
	}
	h.cancel()
	timer := time.NewTimer(leaveTime)
	defer timer.Stop()
	select {
	case <-h.done:
	case <-timer.C: // a hub that does not answer; the process closes its connection
	}
}

// hubsOf returns the hubs to ask: those with the host, or all if host is "".
func (n *Node) hubsOf(host string) (some []hub.URL) {
	for _, u := range n.options.Hubs {
		if host == "" || strings.EqualFold(u.Name(), host) || strings.EqualFold(u.Host, host) {
			some = append(some, u)
		}
	}
	return some
}

// request asks one hub after the other for a session, until one has an answer of the peer.
// The next one is asked if a hub cannot be reached, does not know the peer, or says that
// it is offline.
func (h *hubs) request(ctx context.Context, ask func(hub.URL) agent.Ask) (s agent.Session, at *agent.Agent, err error) {
	h.inTurn(func(i int, within time.Duration) (failed error, over bool) {
		one := ask(h.urls[i])
		one.Within = within
		if s, failed = h.agents[i].Request(ctx, one); failed == nil {
			at, err = h.agents[i], nil
			return nil, true
		}
		if err = telling(err, failed); ctx.Err() != nil || !asksNext(failed) {
			err = failed
			return failed, true
		}
		return failed, false
	})
	return s, at, err
}

// inTurn asks one hub after the other until the question is over. A hub that is too late
// keeps none of the others from being asked, and is asked again when these know nothing.
func (h *hubs) inTurn(ask func(i int, within time.Duration) (failed error, over bool)) {
	var late []int
	for i := range h.agents {
		within := nextHubAfter
		if i == len(h.agents)-1 {
			within = 0
		}
		failed, over := ask(i, within)
		if over {
			return
		}
		if errors.Is(failed, agent.ErrLate) && within > 0 {
			late = append(late, i)
		}
	}
	for _, i := range late {
		if _, over := ask(i, 0); over {
			return
		}
	}
}

// telling returns the error of two hubs that says more about a peer: that it is offline
// says more than that it is unknown, and that more than that the hub cannot be reached.
func telling(err, failed error) error {
	rank := func(err error) int {
		switch {
		case err == nil:
			return 0
		case agent.CodeOf(err) == hub.CodeOffline:
			return 3
		case agent.CodeOf(err) == hub.CodeNotFound:
			return 2
		case proto.CodeOf(err) == proto.Unreachable:
			return 1
		}
		return 4
	}
	if rank(failed) > rank(err) {
		return failed
	}
	return err
}

// asksNext reports whether another hub may know more than one that has failed.
func asksNext(err error) bool {
	code := agent.CodeOf(err)
	return errors.Is(err, agent.ErrLogin) || code == hub.CodeNotFound || code == hub.CodeOffline || code == "" && proto.CodeOf(err) == proto.Unreachable
}

// awaitPeer blocks until a hub says that the peer takes the kind, for at most limit.
func (h *hubs) awaitPeer(ctx context.Context, to string, kind hub.Kind, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, a := range h.agents {
		wg.Go(func() {
			if a.WaitOnline(ctx, to, kind) == nil {
				cancel()
			}
		})
	}
	<-ctx.Done()
}

// lookup asks one hub after the other for the key of a peer.
func (h *hubs) lookup(ctx context.Context, to string) (c agent.Claim, at hub.URL, err error) {
	for i, a := range h.agents {
		asking, cancel := h.within(ctx, i)
		c, failed := a.Claim(asking, to)
		cancel()
		if failed == nil {
			return c, h.urls[i], nil
		}
		err = telling(err, failed)
		if ctx.Err() != nil || !asksNext(failed) {
			break
		}
	}
	return c, at, err
}

// kindsOf returns the kinds that a peer takes now, as the first hub that knows it says.
func (h *hubs) kindsOf(ctx context.Context, to string) []hub.Kind {
	for i := range h.agents {
		if p, err := h.lookupAt(ctx, i, to); err == nil && p.Online {
			return p.Kinds
		}
	}
	return nil
}

// lookupAt asks the i-th hub.
func (h *hubs) lookupAt(ctx context.Context, i int, to string) (hub.Peer, error) {
	ctx, cancel := h.within(ctx, i)
	defer cancel()
	return h.agents[i].Lookup(ctx, to)
}

// within returns the context for a question to the i-th hub: one that says nothing may not
// keep the others from being asked.
func (h *hubs) within(ctx context.Context, i int) (context.Context, context.CancelFunc) {
	if i == len(h.agents)-1 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, nextHubAfter, proto.Errorf(proto.Unreachable, "hub %s: no answer", h.urls[i].Name()))
}

// another returns a hub at which the name belongs to another node than id, and that node.
func (h *hubs) another(ctx context.Context, name string, id identity.ID) (at hub.URL, got identity.ID, found bool) {
	for i, u := range h.urls {
		if p, err := h.lookupAt(ctx, i, name); err == nil && p.Node != id {
			return u, p.Node, true
		}
	}
	return at, got, false
}
