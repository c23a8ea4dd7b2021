package board

import (
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/metrics"
)

// Board is the record of a running tool. Its methods may be called by many goroutines. A
// nil *Board records nothing.
type Board struct {
	// Fill, if it is set, adds to a card what the tool knows. It must not block.
	Fill func(*Card)

	meter *metrics.Meter // nil without --metrics
	first Card

	mu    sync.Mutex
	runs  []*Run
	peers map[string]*Peer
	hubs  map[string]*Hub
}

// New returns the record of a tool that begins now. meter may be nil.
func New(mode, what, version string, meter *metrics.Meter) *Board {
	return &Board{
		meter: meter,
		first: Card{Mode: mode, What: what, Version: version, PID: os.Getpid(), Begun: time.Now().UTC()},
		peers: make(map[string]*Peer), hubs: make(map[string]*Hub),
	}
}

// Post is [Post] of b.
func (b *Board) Post(state string) (stop func(), err error) { return Post(state, b.first.Mode, b.Card) }

// Meter returns the counters; nil if there are none.
func (b *Board) Meter() *metrics.Meter {
	if b == nil {
		return nil
	}
	return b.meter
}

// Link is where a transfer runs now.
type Link struct{ Via, Path, Addr string }

// Run is a transfer that goes on.
type Run struct {
	board    *Board
	first    Transfer
	id       string
	counters *pipe.Counters
	link     func() Link
	broken   func() (time.Duration, bool)
	name     string // guarded by board.mu
}

// Begin records a transfer that begins. counters, link and broken tell its state at any
// time. Call [Run.End] in the end.
func (b *Board) Begin(id string, t Transfer, counters *pipe.Counters, link func() Link, broken func() (time.Duration, bool)) *Run {
	if b == nil {
		return nil
	}
	t.Begun = time.Now().UTC()
	r := &Run{board: b, first: t, id: id, counters: counters, link: link, broken: broken}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs = append(b.runs, r)
	return r
}

// End records that the transfer has ended with err. A pipe may have moved bytes in both
// directions, and counts in each; in any other transfer the direction that is not its own
// has answers alone.
func (r *Run) End(result pipe.Result, err error) {
	if r == nil {
		return
	}
	b := r.board
	b.mu.Lock()
	b.runs = slices.DeleteFunc(b.runs, func(o *Run) bool { return o == r })
	b.mu.Unlock()
	took := time.Since(r.first.Begun)
	for direction, receipt := range map[string]*pipe.Receipt{metrics.Sent: result.Sent, metrics.Received: result.Received} {
		bytes := r.moved(direction)
		if direction != r.first.Direction && (r.first.Kind != wire.KindPipe || receipt == nil || bytes == 0) {
			continue
		}
		b.meter.Ended(metrics.Transfer{Direction: direction, Kind: r.first.Kind, Via: viaOf(r.link()), Bytes: bytes, Took: took, Code: proto.CodeOf(err)})
	}
}

func (r *Run) moved(direction string) int64 {
	if direction == metrics.Sent {
		return r.counters.Sent.Load()
	}
	return r.counters.Received.Load()
}

// now returns the transfer as it is now. The caller holds board.mu.
func (r *Run) now() Transfer {
	t, at := r.first, r.link()
	t.Via, t.Path, t.Addr, t.Name = at.Via, at.Path, at.Addr, r.name
	t.Bytes = r.moved(t.Direction)
	if took := time.Since(t.Begun).Seconds(); took > 0 {
		t.Rate = float64(t.Bytes) / took
	}
	if d, broken := r.broken(); broken {
		t.Broken = d.Seconds()
	}
	return t
}

// Resumed records that a link was broken for some time, and is back.
func (b *Board) Resumed(outage time.Duration) { b.Meter().Resumed(outage) }

// Refused records a peer that was turned away.
func (b *Board) Refused(err error) { b.Meter().Refused(proto.CodeOf(err)) }

// Stored records a file of a transfer that was stored as name, or that was there already, and
// how the command that was run for it has ended; nil for no command.
func (b *Board) Stored(peer, transfer, name string, bytes int64, came bool, hook *int) {
	if b == nil {
		return
	}
	if hook != nil {
		b.meter.Hook(*hook)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if came {
		b.peer(peer).Bytes += bytes
	}
	for _, r := range b.runs {
		if r.id == transfer {
			r.name = name
		}
	}
}

// Delivered records how a delivery of a peer has ended. A name is that of the address book,
// or "".
func (b *Board) Delivered(peer string, err error) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peer(peer)
	if err == nil {
		p.Deliveries++
		p.Last = time.Now().UTC()
	} else {
		p.Failed++
	}
	b.meter.Delivered(p.Name, err == nil)
}

// peer returns the record of a peer. The caller holds mu.
func (b *Board) peer(name string) *Peer {
	if name == "" {
		name = Other
	}
	if b.peers[name] == nil {
		b.peers[name] = &Peer{Name: name}
	}
	return b.peers[name]
}

// AtHub records that a hub was reached, or lost for a reason.
func (b *Board) AtHub(host string, err error) {
	b.hub(host, func(h *Hub) {
		text := ""
		if err != nil {
			text = proto.HideSecrets(err.Error())
		}
		if h.Since.IsZero() || text != h.Error {
			h.Since, h.Error = time.Now().UTC(), text
		}
	})
}

// NamedAtHub records the name of this node at a hub.
func (b *Board) NamedAtHub(host, name string) { b.hub(host, func(h *Hub) { h.As = name }) }

// LeftHub records that a hub was left.
func (b *Board) LeftHub(host string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.hubs, host)
}

func (b *Board) hub(host string, change func(*Hub)) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hubs[host] == nil {
		b.hubs[host] = &Hub{Host: host}
	}
	change(b.hubs[host])
}

// Card returns the state as it is now.
func (b *Board) Card() Card {
	c := b.first
	b.mu.Lock()
	for _, r := range b.runs {
		c.Transfers = append(c.Transfers, r.now())
	}
	for _, p := range b.peers {
		c.Peers = append(c.Peers, *p)
	}
	for _, h := range b.hubs {
		c.Hubs = append(c.Hubs, *h)
	}
	b.mu.Unlock()
	c.Taken = len(c.Transfers)
	if b.Fill != nil {
		b.Fill(&c)
	}
	slices.SortFunc(c.Peers, func(x, y Peer) int { return strings.Compare(x.Name, y.Name) })
	slices.SortFunc(c.Hubs, func(x, y Hub) int { return strings.Compare(x.Host, y.Host) })
	return c
}
