package agent

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// maxSeen bounds the sessions that a listener remembers, so that a hub cannot show an old
// request again.
const maxSeen = 10000

// maxDeciding bounds the requests that are decided at a time.
const maxDeciding = 64

// answerLife is how long an answer is kept: until then the dialer may repeat its request, or
// cancel the session. Later the id alone is known.
const answerLife = hub.MaxAnswer + hub.PendingTimeout + hub.SessionLife

// Offer is the request of another node, which has signed it.
type Offer struct {
	From    identity.ID
	Name    string // the hub's word
	Request *hub.Request
	Hub     identity.ID
	// Relays are the doors of a relay that the hub offers for the link, with the permits
	// of this node.
	Relays []hub.Relay
	// Pending tells the dialer that a person is asked.
	Pending func()

	agent *Agent
}

// Answer is an accept, or the code with which to decline. Neither lets the request
// time out.
type Answer struct {
	Accept  *hub.Accept
	Decline string
	// Undo, if it is set, takes back what was granted: the dialer has cancelled.
	Undo func()
}

// offers are the requests of other nodes.
type offers struct {
	wg       sync.WaitGroup
	mu       sync.Mutex
	ctx      context.Context // of the agent's Run
	agent    *Agent
	conn     *Conn
	seen     map[string]*deciding
	order    []string // the keys of seen, the oldest first
	forgot   int      // how many at the begin of order have no answer any more
	deciding int
}

// deciding is a request that is decided or was.
type deciding struct {
	began   time.Time
	cancel  context.CancelFunc
	pending bool    // a person is asked
	answer  *Answer // once it is decided
	over    bool
}

func (o *offers) begin(ctx context.Context, a *Agent, c *Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ctx, o.agent, o.conn = ctx, a, c
	if o.seen == nil {
		o.seen = make(map[string]*deciding)
	}
}

// take decides about a request. A request that is known by its signature is the same
// one: its answer is repeated. Another signature under a known id is dropped.
func (o *offers) take(e hub.Event) {
	var of hub.Offer
	if e.Read(&of) != nil || e.From == (identity.ID{}) {
		return
	}
	r := &of.Request
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.agent.OnOffer == nil || !r.Signed(e.From, o.conn.Hub) {
		return
	}
	key := hex.EncodeToString(r.Session[:]) + string(e.From[:])
	if d := o.seen[key+string(r.Sig)]; d != nil {
		switch {
		case d.over:
		case d.answer != nil:
			o.replyLocked(r.Session, *d.answer)
		case d.pending: // the hub was restarted meanwhile
			ctx, conn := o.ctx, o.conn
			o.wg.Go(func() { tellPending(ctx, conn, r.Session) })
		}
		return
	}
	if o.seen[key] != nil {
		return
	}
	if o.deciding >= maxDeciding {
		o.replyLocked(r.Session, Answer{Decline: hub.CodeBusy})
		return
	}
	ctx, cancel := context.WithTimeout(o.ctx, hub.MaxAnswer+hub.PendingTimeout)
	d := &deciding{began: time.Now(), cancel: cancel}
	o.forget(d.began)
	o.remember(key, d)
	o.remember(key+string(r.Sig), d)
	o.deciding++
	o.wg.Go(func() { o.decide(ctx, d, e, &of) })
}

// longAgo stands for all requests whose answers are forgotten.
var longAgo = &deciding{over: true}

// forget drops the answers that are older than [answerLife]. A busy listener would keep 5
// KiB for each of the requests that it remembers.
func (o *offers) forget(now time.Time) {
	for ; o.forgot < len(o.order); o.forgot++ {
		key := o.order[o.forgot]
		if now.Sub(o.seen[key].began) < answerLife {
			return
		}
		o.seen[key] = longAgo
	}
}

func (o *offers) remember(key string, d *deciding) {
	if len(o.order) >= 2*maxSeen {
		delete(o.seen, o.order[0])
		o.order = o.order[1:]
		o.forgot = max(o.forgot-1, 0)
	}
	o.seen[key] = d
	o.order = append(o.order, key)
}

func (o *offers) decide(ctx context.Context, d *deciding, e hub.Event, of *hub.Offer) {
	defer d.cancel()
	r := &of.Request
	o.mu.Lock()
	conn, a := o.conn, o.agent
	o.mu.Unlock()
	answer := a.OnOffer(ctx, Offer{From: e.From, Name: e.Name, Request: r, Hub: conn.Hub, Relays: of.Relay, agent: a, Pending: func() {
		o.mu.Lock()
		d.pending = true
		conn := o.conn
		o.mu.Unlock()
		tellPending(ctx, conn, r.Session)
	}})
	o.mu.Lock()
	o.deciding--
	d.answer = &answer
	over := d.over
	now, conn := o.ctx, o.conn // a newer connection, if the first one broke meanwhile
	o.mu.Unlock()
	if !over {
		o.reply(now, conn, r.Session, answer)
	} else if answer.Undo != nil {
		answer.Undo()
	}
}

// tellPending tells the dialer that a person is asked.
func tellPending(ctx context.Context, c *Conn, session hub.ID) {
	_ = c.write(ctx, hub.TypePending, "", &hub.SessionRef{Session: session})
}

// replyLocked replies without waiting for the connection.
func (o *offers) replyLocked(session hub.ID, a Answer) {
	ctx, conn := o.ctx, o.conn
	o.wg.Go(func() { o.reply(ctx, conn, session, a) })
}

func (o *offers) reply(ctx context.Context, c *Conn, session hub.ID, a Answer) {
	var err error
	switch {
	case a.Accept != nil:
		err = c.write(ctx, hub.TypeAccept, "", a.Accept)
	case a.Decline != "":
		err = c.write(ctx, hub.TypeDecline, "", &hub.Decline{Session: session, Code: a.Decline})
	}
	if err != nil {
		o.agent.o.Log.Info("answer to a request is not sent", "err", err)
	}
}

// cancel ends the decision about a request that nobody waits for any more.
func (o *offers) cancel(e hub.Event) {
	var ref hub.SessionRef
	if e.Read(&ref) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	prefix := hex.EncodeToString(ref.Session[:])
	for key, d := range o.seen {
		if strings.HasPrefix(key, prefix) && !d.over {
			d.over = true
			d.cancel()
			if d.answer != nil && d.answer.Undo != nil {
				d.answer.Undo()
			}
		}
	}
}
