package agent

import (
	"context"
	"errors"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
)

// CodeOffer says what waits behind a code.
type CodeOffer struct {
	Kind hub.Kind
	// Show is told each code: the first, and each one in place of another. Why says what
	// became of that; it is nil for the first code.
	Show func(c hub.Code, why error)
	// Grant makes the grant for a dialer that has proven the code. An error ends
	// [Agent.OfferCode]. Undo, if it is set, takes the grant back: the dialer did not get
	// it.
	Grant func(ctx context.Context, d CodeDialer) (g hub.Grant, undo func(), err error)
}

// CodeDialer is a node that has proven that it knows the code.
type CodeDialer struct {
	Box  hub.ID
	Peer identity.ID
	Name string // the hub's word
	Hub  identity.ID
}

// OfferCode shows a code, and waits for one dialer that proves that it knows the code and
// takes its grant; the Session's Peer is that dialer. It stays through lost connections
// and restarts of the hub, with a new code where that is needed. A wrong code makes a new
// one too, [hub.MaxNewCodes] times; the next one is an error with code [proto.Denied].
// After it has returned a Session, it answers that dialer again for a while, until ctx ends:
// a hub that was restarted may not have passed the answer on. If the hub can't be reached
// before the first code, the error is that of the login.
func (a *Agent) OfferCode(ctx context.Context, o CodeOffer) (Session, error) {
	l := &codeListener{a: a, o: o}
	s, err := l.run(ctx)
	if err != nil {
		l.close(ctx, hub.BurnClosed)
	}
	if err == nil && o.Kind == hub.KindPair {
		s.role, s.events, s.conn, s.remake = hub.RoleListener, l.events, l.conn, l.remake
		return s, nil
	}
	if err == nil {
		s.Relays = l.relays(ctx)
		go l.linger(ctx)
		return s, nil
	}
	a.dropBox(l.box)
	return s, err
}

// lingerFor is how long a listener answers again: as long as a dialer repeats its confirm.
const lingerFor = hub.ConfirmTimeout + hub.AnswerTimeout

// linger answers the dialer again, if the connection to the hub ends soon after the answer.
func (l *codeListener) linger(ctx context.Context) {
	defer l.a.dropBox(l.box)
	ctx, cancel := context.WithTimeout(ctx, lingerFor)
	defer cancel()
	for {
		select {
		case <-l.conn.done:
		case <-ctx.Done():
			return
		}
		if err := l.answerAgain(ctx); err != nil {
			return
		}
	}
}

// answerAgain answers the dialer at the hub to which the connection has ended. A hub that was
// restarted gets to know the box again for that.
func (l *codeListener) answerAgain(ctx context.Context) error {
	l.a.left(ctx, l.conn)
	l.lingers = true
	_, err := l.run(ctx)
	if err != nil {
		l.a.o.Log.Info("the dialer has not asked for its answer again", "err", err)
		l.burn(ctx, hub.BurnClosed)
	}
	return err
}

// relays waits for the relays that the hub offers for the session. A hub that dies before it
// has told them is asked again.
func (l *codeListener) relays(ctx context.Context) []hub.Relay {
	ctx, cancel := context.WithTimeout(ctx, lingerFor)
	defer cancel()
	for {
		relays, lost := relaysOf(ctx, l.events, l.conn)
		if !lost || l.answerAgain(ctx) != nil {
			return relays
		}
	}
}

// remake makes a session known again at a hub that was restarted: errClaimed says that the
// dialer must repeat its confirm first.
func (l *codeListener) remake(ctx context.Context, c *Conn) error {
	_, err := c.Call(ctx, hub.TypeCodeDone, l.proven.done)
	if code := CodeOf(err); code != hub.CodeGone && code != hub.CodeBadEvent {
		return err
	}
	data := l.reopens()
	if _, err := c.Call(ctx, hub.TypeCodeOpen, &data); err != nil {
		return err
	}
	return errClaimed
}

// errClaimed says that a hub knows the box of a code, and not yet the dialer's proof.
var errClaimed = errors.New("the dialer has not confirmed yet")

// reopens returns the event that opens the box, with what a hub that was restarted does not
// know.
func (l *codeListener) reopens() hub.CodeOpen {
	data := l.end.Event()
	data.Claimed, data.Plate = l.claimer, l.plate
	return data
}

// codeListener is a box of this node.
type codeListener struct {
	a     *Agent
	o     CodeOffer
	wrong int

	box    hub.ID
	words  string
	end    *hub.CodeListener // nil: the next code is a new one
	why    error             // why there is a new one
	events <-chan hub.Event

	conn    *Conn
	plate   uint32 // of the code that is shown; 0 before
	former  uint32 // the plate of the code before, which the next code must not have
	claimer identity.ID
	// useless says that nobody can claim the code any more that is shown: it has
	// expired, or the hub has forgotten its plate.
	useless error
	ends    time.Time // of the code; a hub that was restarted would let it live longer
	expired <-chan time.Time

	proven  *proven
	lingers bool // the box is for the dialer that has proven the code alone
}

// proven is what a dialer that knows the code gets.
type proven struct {
	confirm hub.CodeConfirm
	dialer  CodeDialer
	done    *hub.CodeDone
	keys    *hub.Keys
	grant   hub.Grant
	undo    func()
	updates *Updates // nil for [hub.KindPair]
}

func (l *codeListener) run(ctx context.Context) (Session, error) {
	for {
		c, err := l.a.ready(ctx, l.plate != 0)
		if err != nil {
			return Session{}, err
		}
		l.conn = c
		s, err := l.serve(ctx)
		switch {
		case err == nil:
			return s, nil
		case ctx.Err() != nil:
			return Session{}, context.Cause(ctx)
		case !errors.Is(err, errLost):
			return Session{}, err
		}
		l.a.left(ctx, c)
	}
}

// errLost stands for a connection that has ended.
var errLost = errors.New("connection to the hub lost")

// serve opens the box and handles its events, until a dialer has its grant or the
// connection ends.
func (l *codeListener) serve(ctx context.Context) (Session, error) {
	if l.proven != nil {
		if s, err := l.answer(ctx); err == nil || errors.Is(err, errLost) {
			return s, err
		} // else the hub was restarted, and gets to know the box again
	}
	for {
		if err := l.open(ctx); err != nil {
			return Session{}, err
		}
		for opened := true; opened; {
			s, again, err := l.next(ctx)
			if s.ID != (hub.ID{}) || err != nil {
				return s, err
			}
			opened = !again
		}
	}
}

// call sends an event. A connection that ends is [errLost].
func (l *codeListener) call(ctx context.Context, typ string, data hub.Data) (hub.Event, error) {
	e, err := l.conn.Call(ctx, typ, data)
	if _, refused := asHubError(err); err != nil && !refused && ctx.Err() == nil {
		return e, errors.Join(errLost, err)
	}
	return e, err
}

// open opens the box at the hub, with a new code if there is none, and shows what is new.
func (l *codeListener) open(ctx context.Context) error {
	for {
		if err := l.renew(); err != nil {
			return err
		}
		data := l.reopens()
		e, err := l.call(ctx, hub.TypeCodeOpen, &data)
		if err != nil {
			return err
		}
		var o hub.CodeOpened
		if err := e.Read(&o); err != nil {
			return &proto.Error{Code: proto.Protocol, Err: err}
		}
		if ends := time.Now().Add(min(time.Duration(o.ExpiresS)*time.Second, hub.CodeLife)); l.plate == 0 || ends.Before(l.ends) {
			l.ends = ends
		}
		l.expired = time.After(time.Until(l.ends))
		switch {
		case o.Plate == l.plate:
			return nil
		case l.plate != 0 && l.claimer != (identity.ID{}):
			l.useless = errors.New("the hub was restarted")
			return nil
		case l.plate != 0:
			l.replace(ctx, errors.New("the hub was restarted"))
			continue
		}
		if l.plate = o.Plate; l.plate == l.former {
			l.replace(ctx, l.why)
			l.former = 0 // a hub that gives it again does so on purpose
			continue
		}
		l.o.Show(hub.Code{Plate: o.Plate, Words: l.words, Host: l.conn.codeHost()}, l.why)
		return nil
	}
}

// renew makes a box with new words if there is none, and a share if there is none.
func (l *codeListener) renew() (err error) {
	if l.end != nil {
		return nil
	}
	if l.box == (hub.ID{}) {
		l.box, l.words = hub.NewID(), hub.CodeWords()
		l.events = l.a.takeBox(l.box)
	}
	l.end, err = hub.OpenCode(l.conn.Hub, l.a.o.Key, l.o.Kind, l.box, l.words)
	return err
}

// replace closes the box; the next one has another code.
func (l *codeListener) replace(ctx context.Context, why error) {
	l.close(ctx, hub.BurnClosed)
	l.forget(why)
}

func (l *codeListener) forget(why error) {
	l.a.dropBox(l.box)
	l.former = l.plate
	l.box, l.end, l.plate, l.claimer, l.useless, l.proven, l.why = hub.ID{}, nil, 0, identity.ID{}, nil, nil, why
}

// close tells the hub that nobody waits at the box, and takes back what was granted.
func (l *codeListener) close(ctx context.Context, reason string) {
	if p := l.proven; p != nil {
		p.takeBack()
	}
	l.burn(ctx, reason)
}

func (l *codeListener) burn(ctx context.Context, reason string) {
	if l.box != (hub.ID{}) && l.conn != nil {
		_ = l.conn.write(context.WithoutCancel(ctx), hub.TypeCodeBurn, "", &hub.CodeBurn{Box: l.box, Reason: reason})
	}
}

// takeBack withdraws the grant, and ends the exchange of candidates.
func (p *proven) takeBack() {
	if p.undo != nil {
		p.undo()
		p.undo = nil
	}
	if p.updates != nil {
		p.updates.Close()
	}
}

// next waits for one thing to happen. Again says that the box is to be opened again. A
// Session with an id is the end.
func (l *codeListener) next(ctx context.Context) (s Session, again bool, err error) {
	select {
	case e := <-l.events:
		return l.event(ctx, e)
	case <-l.expired:
		l.expired = nil
		l.useless = errors.New("the code has expired")
		if l.claimer == (identity.ID{}) {
			l.replace(ctx, l.useless)
			return s, true, nil
		}
		return s, false, nil
	case <-l.conn.done:
		select {
		case e := <-l.events: // the hub's last words count: a claim, or the proof of one
			return l.event(ctx, e)
		default:
			return s, false, errLost
		}
	case <-ctx.Done():
		return s, false, context.Cause(ctx)
	}
}

func (l *codeListener) event(ctx context.Context, e hub.Event) (s Session, again bool, err error) {
	switch e.Type {
	case hub.TypeCodeClaimed:
		l.claimer = e.From
	case hub.TypeCodeFreed:
		l.claimer = identity.ID{}
		switch {
		case l.lingers:
			return s, false, errors.New("the box is free again")
		case l.proven != nil:
			l.replace(ctx, errors.New("the peer that knew the code is gone"))
		case l.useless != nil:
			l.replace(ctx, l.useless)
		default:
			l.end = nil // its share was told to a node that may still know it
		}
		return s, true, nil
	case hub.TypeCodeConfirm:
		var c hub.CodeConfirm
		if e.Read(&c) == nil {
			return l.confirm(ctx, e, c)
		}
	}
	return s, false, nil
}

// confirm checks a dialer's proof. One confirm counts for each share, whatever the hub
// says: whoever has guessed wrong gets another code to guess.
func (l *codeListener) confirm(ctx context.Context, e hub.Event, c hub.CodeConfirm) (s Session, again bool, err error) {
	if p := l.proven; p != nil {
		if string(p.confirm.Tag) == string(c.Tag) {
			s, err = l.answerConfirmed(ctx)
		}
		return s, false, err
	}
	proof, err := l.end.Prove(e.From, &c)
	if err != nil {
		l.close(ctx, hub.BurnWrong)
		l.forget(proto.Errorf(proto.Denied, "a wrong code came from %s", l.saidBy(e)))
		if l.wrong++; l.wrong > hub.MaxNewCodes {
			return s, false, proto.Errorf(proto.Denied, "%d wrong codes, the last one from %s", l.wrong, l.saidBy(e))
		}
		return s, true, nil
	}
	p := &proven{confirm: c, dialer: CodeDialer{Box: l.box, Peer: e.From, Name: e.Name, Hub: l.conn.Hub}}
	if p.grant, p.undo, err = l.o.Grant(ctx, p.dialer); err != nil {
		return s, false, err
	}
	l.claimer, l.proven = e.From, p
	if p.done, p.keys, err = proof.Done(p.grant); err != nil {
		return s, false, err
	}
	if l.o.Kind != hub.KindPair {
		p.updates = l.a.openUpdates(updatesKey{l.box, hub.RoleListener, e.From})
		p.updates.setKeys(p.keys)
	}
	s, err = l.answerConfirmed(ctx)
	return s, false, err
}

// answerConfirmed answers a confirm. A hub that was restarted after it passed the confirm on
// refuses the answer until the dialer has repeated the confirm there: no Session and no error
// is the outcome then, and the repeat is answered.
func (l *codeListener) answerConfirmed(ctx context.Context) (Session, error) {
	s, err := l.answer(ctx)
	if CodeOf(err) == hub.CodeBadEvent {
		return Session{}, nil
	}
	return s, err
}

// saidBy names the dialer of an event to a person.
func (l *codeListener) saidBy(e hub.Event) string {
	if e.Name == "" {
		return "a node with the key " + strings.Join(hub.KeyWords(e.From), "-")
	}
	return proto.QuoteText(e.Name) + " (says " + l.a.o.URL.Name() + ")"
}

// answer sends the grant to the dialer that has proven the code.
func (l *codeListener) answer(ctx context.Context) (Session, error) {
	p := l.proven
	if _, err := l.call(ctx, hub.TypeCodeDone, p.done); err != nil {
		return Session{}, err
	}
	return Session{ID: l.box, Peer: p.dialer.Peer, Name: p.dialer.Name, Grant: p.grant, Keys: p.keys, Hub: l.conn.Hub, Kind: l.o.Kind, Updates: p.updates}, nil
}

// codeHost returns what a code ends with: the hub's host, if somebody without any setting
// can use the code there.
func (c *Conn) codeHost() string {
	if !c.trusted || c.Welcome.Limits[hub.LimitGuests] == 0 || c.url.Path != "" {
		return ""
	}
	return strings.TrimSuffix(c.url.Host, ":443")
}
