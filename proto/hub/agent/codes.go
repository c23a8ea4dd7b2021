package agent

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
)

const (
	// maxClaims bounds the claims of one call of [Agent.DialCode]: a connection that was
	// lost, or a claim that ran out, is worth another one.
	maxClaims = 3
	// createdIn is how long an end of a code waits for the hub's offer of relays, which
	// comes with the other end's answer.
	createdIn = 2 * time.Second
	// confirmEvery is the time between the repeats of a confirm at a hub that was
	// restarted, whose listener may not be back yet. claimAgain is the time until the plate
	// is claimed there once more, and doubles each time: a hub takes few claims.
	confirmEvery = 500 * time.Millisecond
	claimAgain   = 2 * time.Second
)

// CodeAsk says which code to claim.
type CodeAsk struct {
	Code hub.Code
	// Kinds are what the caller can take; none stands for any. A code of another kind is
	// an error with code [proto.Capability], before anything is proven.
	Kinds []hub.Kind
	// Within, if it is above 0, limits the time until the hub has answered the claim.
	Within time.Duration
}

// DialCode proves to the listener behind a code that this node knows the code, and
// returns what the listener grants. The listener has proven the same, so the Session's
// Peer is who it says. Errors have the code [proto.Denied] if there is no such code or
// its words are wrong, and [proto.Identity] if whoever answers does not know the code. With
// an error the Session has an ID if the code was claimed: the listener may have seen a proof
// then, and no other hub is worth one.
func (a *Agent) DialCode(ctx context.Context, ask CodeAsk) (Session, error) {
	asking, cancel := ctx, func() {}
	if ask.Within > 0 {
		asking, cancel = context.WithTimeoutCause(ctx, ask.Within, a.late())
	}
	defer cancel()
	var err error
	for tries := range maxClaims {
		var d *codeDialer
		if d, err = a.claim(asking, ask, tries > 0); err == nil {
			return d.dial(ctx)
		}
		if !errors.Is(err, errClaimAgain) {
			return Session{}, err
		}
	}
	return Session{}, proto.Errorf(proto.Unreachable, "the code was claimed %d times: %w", maxClaims, err)
}

// errClaimAgain is in the chain of an error that another claim may mend.
var errClaimAgain = errors.New("the claim has ended")

// codeDialer is a box that this node has claimed.
type codeDialer struct {
	a      *Agent
	conn   *Conn
	box    hub.ID
	plate  uint32
	got    hub.CodeClaimed // the hub's answer to the claim
	kind   hub.Kind
	end    *hub.CodeDialer
	events <-chan hub.Event
}

// claim claims the box behind the code, and answers its share. A connection that was
// lost is waited for in later tries.
func (a *Agent) claim(ctx context.Context, ask CodeAsk, later bool) (*codeDialer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, hub.ConfirmTimeout, a.late())
	defer cancel()
	c, err := a.ready(ctx, later)
	if err != nil {
		return nil, err
	}
	e, err := c.Call(ctx, hub.TypeCodeClaim, &hub.CodeClaim{Plate: ask.Code.Plate})
	for wait := claimAgain; later && CodeOf(err) == hub.CodeNoCode && wait <= 4*claimAgain; wait *= 2 {
		select { // the listener may not be back yet
		case <-time.After(wait):
			e, err = c.Call(ctx, hub.TypeCodeClaim, &hub.CodeClaim{Plate: ask.Code.Plate})
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if err != nil {
		if _, refused := asHubError(err); refused || ctx.Err() != nil {
			return nil, err
		}
		a.left(ctx, c)
		return nil, errors.Join(errClaimAgain, err)
	}
	var got hub.CodeClaimed
	if err := e.Read(&got); err != nil || got.Peer == (identity.ID{}) {
		return nil, proto.Errorf(proto.Protocol, "the hub answers a claim with something else")
	}
	if got.Peer == a.o.Key.ID() {
		return nil, proto.Errorf(proto.Identity, "the code is one of this node itself")
	}
	if len(ask.Kinds) > 0 && !slices.Contains(ask.Kinds, got.Kind) {
		return nil, &proto.Error{Code: proto.Capability, Err: &KindError{got.Kind}}
	}
	end, err := hub.ClaimCode(c.Hub, a.o.Key.ID(), ask.Code.Words, &got)
	if err != nil {
		return nil, err
	}
	return &codeDialer{a: a, conn: c, box: got.Box, plate: ask.Code.Plate, got: got, kind: got.Kind, end: end, events: a.takeBox(got.Box)}, nil
}

// dial proves the code and returns what the listener grants.
func (d *codeDialer) dial(ctx context.Context) (Session, error) {
	if d.kind == hub.KindPair {
		s, err := d.confirm(ctx)
		if s.ID, s.Kind = d.box, d.kind; err != nil {
			d.a.dropBox(d.box)
			return s, err
		}
		s.role, s.events, s.conn, s.remake = hub.RoleDialer, d.events, d.conn, d.remake
		return s, nil
	}
	defer d.a.dropBox(d.box)
	updates := d.a.openUpdates(updatesKey{session: d.box, role: hub.RoleDialer})
	s, err := d.confirm(ctx)
	if s.ID, s.Kind = d.box, d.kind; err != nil {
		updates.Close()
		return s, err
	}
	s.dials(updates, d.conn, d.remake)
	s.Relays, err = d.relays(ctx)
	return s, err
}

// remake makes a session known again at a hub that was restarted, once the listener is back
// there too. The listener's answer, which is the same, comes as an event.
func (d *codeDialer) remake(ctx context.Context, c *Conn) error {
	_, err := c.Call(ctx, hub.TypeCodeConfirm, d.end.Confirm())
	return err
}

// relays waits for the relays that the hub offers for the session. A hub that dies before it
// has told them is asked again.
func (d *codeDialer) relays(ctx context.Context) ([]hub.Relay, error) {
	for {
		relays, lost := relaysOf(ctx, d.events, d.conn)
		if !lost {
			return relays, nil
		}
		d.a.left(ctx, d.conn)
		var err error
		if d.conn, err = d.a.ready(ctx, true); err != nil {
			return nil, err
		}
		if err = d.send(ctx, false); err != nil && ctx.Err() != nil {
			return nil, err
		}
		if err != nil { // the listener has all that it needs, and waits for the link
			return nil, nil
		}
	}
}

// KindError is in the chain of the error for a code of a kind that the caller does not take.
type KindError struct{ Kind hub.Kind }

func (e *KindError) Error() string {
	return "the code is for " + kindText(e.Kind) + ", which this tool does not take"
}

// kindTexts say what a code of a kind is for.
var kindTexts = map[hub.Kind]string{hub.KindPipe: "a pipe", hub.KindFiles: "files", hub.KindTTY: "a terminal", hub.KindPair: "pairing"}

func kindText(k hub.Kind) string {
	if text, ok := kindTexts[k]; ok {
		return text
	}
	return proto.QuoteText(string(k))
}

// confirm sends the proof, again on each new connection, and waits for the answer.
func (d *codeDialer) confirm(ctx context.Context) (Session, error) {
	limit := time.NewTimer(hub.ConfirmTimeout + hub.MaxAnswer)
	defer limit.Stop()
	first := true
	for {
		hubID := d.conn.Hub
		if err := d.send(ctx, first); err != nil {
			return Session{}, err
		}
		first = false
		select {
		case e := <-d.events:
			if e.Type == hub.TypeCreated { // too soon
				continue
			}
			return d.outcome(e)
		case <-limit.C:
			return Session{}, proto.Errorf(proto.Unreachable, "the peer behind the code gives no answer")
		case <-ctx.Done():
			return Session{}, context.Cause(ctx)
		case <-d.conn.done:
		}
		d.a.left(ctx, d.conn)
		var err error
		if d.conn, err = d.a.ready(ctx, true); err != nil {
			return Session{}, err
		}
		if d.conn.Hub != hubID {
			return Session{}, proto.Errorf(proto.Identity, "the hub has another key now: %s, before %s", d.conn.Hub.Short(), hubID.Short())
		}
	}
}

// send sends the proof until the hub takes it. A hub that was restarted takes it once the
// listener is back there. A connection that ends meanwhile is no error.
func (d *codeDialer) send(ctx context.Context, first bool) error {
	began, wait := time.Now(), time.Duration(0)
	for end := began.Add(hub.ConfirmTimeout); len(d.events) == 0; {
		_, err := d.conn.Call(ctx, hub.TypeCodeConfirm, d.end.Confirm())
		h, refused := asHubError(err)
		switch {
		case err == nil || !refused && ctx.Err() == nil:
			return nil
		case !refused || h.Answer.Code != hub.CodeNotFound:
			return err
		case first || time.Now().After(end):
			return errNobody
		case time.Since(began) >= wait:
			if wait = 2*wait + claimAgain; d.claimAgain(ctx) == nil {
				continue
			}
		}
		select {
		case <-time.After(confirmEvery):
		case <-d.conn.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// errNobody says that nobody waits behind a code that this node has claimed.
var errNobody = proto.Errorf(proto.Unreachable, "the peer behind the code is gone")

// claimAgain claims the box at a hub that was restarted, and whose listener does not know of
// the claim. The box must be as it was: each other proof would let a lying hub try one guess.
func (d *codeDialer) claimAgain(ctx context.Context) error {
	e, err := d.conn.Call(ctx, hub.TypeCodeClaim, &hub.CodeClaim{Plate: d.plate})
	if err != nil {
		return err
	}
	var got hub.CodeClaimed
	if err := e.Read(&got); err != nil {
		return err
	}
	if got.Box != d.box || got.Peer != d.got.Peer || !bytes.Equal(got.Share, d.got.Share) || !bytes.Equal(got.AD, d.got.AD) {
		return errNobody
	}
	return nil
}

// outcome reads the listener's answer.
func (d *codeDialer) outcome(e hub.Event) (Session, error) {
	var done hub.CodeDone
	if e.Type == hub.TypeCodeDone {
		if err := e.Read(&done); err != nil {
			return Session{}, &proto.Error{Code: proto.Protocol, Err: err}
		}
		g, keys, err := d.end.Open(&done)
		if err != nil {
			return Session{}, err
		}
		return Session{ID: d.box, Peer: d.end.Peer(), Name: e.Name, Grant: g, Keys: keys, Hub: d.conn.Hub}, nil
	}
	var burn hub.CodeBurn
	if err := e.Read(&burn); err != nil {
		return Session{}, &proto.Error{Code: proto.Protocol, Err: err}
	}
	switch burn.Reason {
	case hub.BurnWrong:
		return Session{}, proto.Errorf(proto.Denied, "the code is wrong; the other side shows a new one now")
	case hub.BurnOffline, hub.BurnTimeout:
		return Session{}, errNobody
	}
	return Session{}, proto.Errorf(proto.Denied, "the peer behind the code no longer waits")
}

// maxBoxEvents bounds the events of one box that wait.
const maxBoxEvents = 16

// takeBox returns the events of a box from now on, until [Agent.dropBox].
func (a *Agent) takeBox(box hub.ID) <-chan hub.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := make(chan hub.Event, maxBoxEvents)
	a.boxes[box] = events
	return events
}

func (a *Agent) dropBox(box hub.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.boxes, box)
}

// boxEvent passes an event on to whoever has the box. Events of other boxes, and those
// that nobody reads, are dropped.
func (a *Agent) boxEvent(e hub.Event) {
	var id hub.ID
	var claimed hub.CodeClaimed
	var freed hub.CodeFreed
	var confirm hub.CodeConfirm
	var done hub.CodeDone
	var burn hub.CodeBurn
	var candidates hub.Candidates
	var closed hub.Closed
	switch {
	case e.Type == hub.TypeCodeClaimed && e.Read(&claimed) == nil:
		id = claimed.Box
	case e.Type == hub.TypeCodeFreed && e.Read(&freed) == nil:
		id = freed.Box
	case e.Type == hub.TypeCodeConfirm && e.Read(&confirm) == nil:
		id = confirm.Box
	case e.Type == hub.TypeCodeDone && e.Read(&done) == nil:
		id = done.Box
	case e.Type == hub.TypeCodeBurn && e.Read(&burn) == nil:
		id = burn.Box
	case e.Type == hub.TypeCandidates && e.Read(&candidates) == nil:
		id = candidates.Session
	case e.Type == hub.TypeClosed && e.Read(&closed) == nil:
		id = closed.Session
	}
	a.toBox(id, e)
}

// toBox passes an event on to the owner of a box, and reports whether the box has one.
func (a *Agent) toBox(id hub.ID, e hub.Event) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := a.boxes[id]
	if events == nil {
		return false
	}
	select {
	case events <- e:
	default:
	}
	return true
}

// relaysOf waits for what the hub offers for the session of a box: nothing, if it does not
// say that the session is created. lost says that the connection has ended before.
func relaysOf(ctx context.Context, events <-chan hub.Event, conn *Conn) (relays []hub.Relay, lost bool) {
	timer := time.NewTimer(createdIn)
	defer timer.Stop()
	for {
		select {
		case e := <-events:
			var c hub.Created
			if e.Type == hub.TypeCreated && e.Read(&c) == nil {
				return c.Relay, false
			}
		case <-conn.done:
			if len(events) == 0 {
				return nil, true
			}
		case <-timer.C:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
}
