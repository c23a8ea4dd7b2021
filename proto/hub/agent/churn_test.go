package agent_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// churn is a hub whose members come, ask each other for sessions, leave and are removed,
// while it is restarted. It also holds what the hub's facts must be.
type churn struct {
	t *testing.T

	up     sync.RWMutex // held for writing while the hub is down; guards since
	since  time.Time    // of the last restart
	settle time.Duration
	hub    *hubtest.Hub
	url    hub.URL

	mu       sync.Mutex
	members  map[identity.ID]bool // false: removed
	names    map[string]identity.ID
	here     map[string]bool // names that are online
	sessions int
	restarts int
	codes    int
	floods   int // that the hub has ended
	slow     int // readers that the hub has ended
}

// Members come and go for a while, beside floods and clients that read nothing. Meanwhile the
// sessions of other members take about as long as those at a quiet hub beside it, on the same
// processors. Then the hub's facts are those that it has confirmed, and the process has as
// many goroutines and descriptors, and about as much memory, as before.
func TestChurn(t *testing.T) {
	lasts, full := 12*time.Second, os.Getenv("TORTURE") == "full" // see scripts/torture
	percent, slow := 50, time.Second/2                            // a short run has too few sessions for more
	switch {
	case testing.Short():
		lasts = 2 * time.Second
	case full:
		lasts, percent, slow = 10*time.Minute, 99, 50*time.Millisecond
	}
	if d, err := time.ParseDuration(os.Getenv("TORTURE_CHURN")); err == nil {
		lasts = d
	}
	c, quiet := newChurn(t), newChurn(t)
	defer func() { c.hub.Stop() }()
	defer func() { quiet.hub.Stop() }()
	c.settle = min(5*time.Second, lasts/24)
	before := min(lasts/4, time.Minute)
	c.run(before) // pools and caches are filled then
	goroutines, files, heap := c.rest()
	idle, _ := c.latency(percent, func() { <-time.After(before) })
	var busy time.Duration
	var measured int
	beside, _ := quiet.latency(percent, func() {
		busy, measured = c.latency(percent, func() {
			c.run(lasts)
			for more := 0; c.lacks(full) && more < 4; more++ { // the machine is busy
				c.run(lasts)
			}
		})
	})
	defer func() {
		if t.Failed() { // which they are
			_ = pprof.Lookup("goroutine").WriteTo(t.Output(), 1)
		}
	}()
	waitFor(t, "all goroutines and descriptors are gone", func() bool {
		g, f, _ := c.rest()
		return g <= goroutines && f <= files
	})
	goroutinesNow, filesNow, now := c.rest()
	const slack, ofMember = 4 << 20, 4 << 10
	if limit := heap + slack + uint64(len(c.members))*ofMember; now > limit {
		t.Errorf("%d KiB of memory are in use after the churn, want at most %d", now>>10, limit>>10)
	}
	if c.lacks(full) {
		t.Errorf("got %d sessions, %d codes, %d floods, %d slow readers and %d restarts, want some", c.sessions, c.codes, c.floods, c.slow, c.restarts)
	}
	if limit := 2*beside + slow; busy > limit || measured == 0 {
		t.Errorf("of %d sessions of others, %d in 100 took at most %v, and %v at a quiet hub: want at most %v", measured, percent, busy, beside, limit)
	}
	c.compare()
	t.Logf("torture: hub: churn for %v: %d members, %d names, %d sessions, %d codes, %d floods, %d slow readers, %d restarts, memory %d KiB before, %d after, "+
		"%d goroutines before, %d after, %d descriptors before, %d after; %d in 100 of %d sessions of others took at most %v, %v at a quiet hub beside it, %v before the churn", lasts, len(c.members), len(c.names), c.sessions, c.codes, c.floods, c.slow,
		c.restarts, heap>>10, now>>10, goroutines, goroutinesNow, files, filesNow, percent, measured, busy.Round(time.Millisecond/10), beside.Round(time.Millisecond/10), idle.Round(time.Millisecond/10))
}

func newChurn(t *testing.T) *churn {
	t.Helper()
	h, err := hubtest.Open()
	if err != nil {
		t.Fatal(err)
	}
	return &churn{t: t, hub: h, url: h.URL(), members: make(map[identity.ID]bool), names: make(map[string]identity.ID), here: make(map[string]bool)}
}

// lacks reports whether something that the churn consists of has not happened yet. Codes
// and slow readers take longer than a busy machine has between two restarts in a short run.
func (c *churn) lacks(full bool) bool {
	return (c.sessions == 0 || c.floods == 0) && !testing.Short() || c.restarts == 0 || full && (c.codes == 0 || c.slow == 0)
}

// run lets members come and go.
func (c *churn) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				c.member(ctx, fmt.Sprintf("n%d-%d-%d", i, n, rand.N(1<<30)))
			}
		})
	}
	for i := range 3 { // one of them reads nothing
		wg.Go(func() {
			for ctx.Err() == nil {
				c.abuse(ctx, i == 0)
				pause(ctx, time.Second)
			}
		})
	}
	wg.Go(func() {
		for tick := time.Tick(d / 6); ; {
			select {
			case <-tick:
				c.restart()
			case <-ctx.Done():
				return
			}
		}
	})
	wg.Wait()
}

// pause waits a random part of d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(rand.N(d)):
	case <-ctx.Done():
	}
}

func (c *churn) restart() {
	c.up.Lock()
	defer c.up.Unlock()
	c.hub.Stop()
	if err := c.hub.Start(); err != nil {
		c.t.Error(err)
	}
	c.since = time.Now()
	c.restarts++
}

// member is the life of one member: it joins with an invite, takes a name, is in a room, has
// sessions and shows a code, and leaves or is removed.
func (c *churn) member(ctx context.Context, name string) {
	key := xtest.NewKey(c.t)
	c.join(key)
	registered := make(chan hub.Registered, 64)
	a := agent.New(agent.Options{URL: c.url, Key: key, Instance: hub.NewID()})
	a.Registers, a.Rooms = []hub.Register{{Name: name, Kinds: []hub.Kind{hub.KindPipe}, Lasting: true}}, []string{lobby}
	a.OnRegistered = func(_ hub.Register, got hub.Registered) {
		select {
		case registered <- got:
		default:
		}
	}
	a.OnOffer = func(_ context.Context, o agent.Offer) agent.Answer {
		accept, _, err := o.Request.Accept(key, o.Hub, o.From, hub.Grant{Method: hub.MethodKey, Caps: "send"})
		if err != nil || rand.N(4) == 0 {
			return agent.Answer{Decline: hub.CodeDenied}
		}
		return agent.Answer{Accept: accept}
	}
	running, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { a.Run(running) })
	select {
	case got := <-registered:
		if got.Code != "" {
			c.t.Errorf("register %s: got %q", name, got.Code)
		}
	case <-time.After(time.Minute):
		c.t.Errorf("%s is not registered after a minute", name)
		return
	}
	c.mu.Lock()
	c.names[name], c.here[name] = key.ID(), true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.here, name)
	}()
	for range 1 + rand.N(5) {
		pause(ctx, time.Second/2)
		c.ask(ctx, a)
	}
	if rand.N(4) == 0 {
		c.code(ctx, a)
	}
	if rand.N(3) == 0 {
		c.remove(key)
	}
}

// join makes a node a member by an invite. A login that the restart of the hub cuts is made
// again.
func (c *churn) join(key *identity.Key) {
	c.up.RLock()
	text, err := c.hub.Invite("")
	c.up.RUnlock()
	if err != nil {
		c.t.Errorf("invite: %v", err)
		return
	}
	invite, err := hub.ParseInvite(text)
	if err != nil {
		c.t.Errorf("invite: %v", err)
		return
	}
	waitFor(c.t, "the invite is used", func() bool {
		conn, err := agent.Dial(context.Background(), agent.Options{URL: c.url, Key: key, Instance: hub.NewID(), Invite: &invite}, func(hub.Event) {})
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[key.ID()] = true
}

// ask asks another member, which may be gone, for a session.
func (c *churn) ask(ctx context.Context, a *agent.Agent) {
	c.mu.Lock()
	to := ""
	for to = range c.here { // a random one
		break
	}
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := a.Request(ctx, agent.Ask{To: to, Kind: hub.KindPipe, Want: proto.CapSend, Judge: anybody}); err == nil {
		c.mu.Lock()
		c.sessions++
		c.mu.Unlock()
	}
}

func (c *churn) remove(key *identity.Key) {
	c.up.RLock()
	err := c.hub.Broker.RemoveMember("admin", key.ID())
	c.up.RUnlock()
	if err != nil {
		c.t.Errorf("remove: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[key.ID()] = false
}

// rest returns the goroutines, descriptors and memory of the process, when no member is
// there.
func (c *churn) rest() (goroutines, files int, heap uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	list, _ := os.ReadDir("/proc/self/fd")
	return runtime.NumGoroutine(), len(list), m.HeapAlloc
}

// compare compares the facts of a hub that has just started with what the old ones have
// confirmed.
func (c *churn) compare() {
	c.restart()
	n := 0
	members, _ := c.hub.Broker.Members(broker.Page{Limit: 1 << 20})
	for _, m := range members {
		if in, known := c.members[m.Node]; !known || in != m.Removed.IsZero() {
			c.t.Errorf("member %s: removed %v; was confirmed %v, removed %v", m.Node.Short(), m.Removed, known, !in)
		}
		n++
	}
	if n != len(c.members) {
		c.t.Errorf("got %d members, want %d", n, len(c.members))
	}
	names, _ := c.hub.Broker.Names(identity.ID{}, broker.Page{Limit: 1 << 20})
	told := 0
	for _, owner := range c.names {
		if c.members[owner] { // the names of removed members are kept, but not told
			told++
		}
	}
	for _, got := range names {
		if want := c.names[got.Name.Name]; got.Node != want {
			c.t.Errorf("name %s: got %s, want %s", got.Name.Name, got.Node.Short(), want.Short())
		}
	}
	if len(names) != told {
		c.t.Errorf("got %d names, want %d", len(names), told)
	}
}
