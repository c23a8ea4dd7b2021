package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/token"
	"mesh/proto/wire"
)

const (
	// firstCodeTime is how long the hub may say nothing before a user who waits for a code
	// gets the token, and firstCodeLimit how long the user waits if the hub answers step by
	// step: a login takes five round trips, of a second each by way of a satellite.
	firstCodeTime  = 2 * time.Second
	firstCodeLimit = 10 * time.Second
	// codeLinkTime is how long a dialer that has proven a code may take to link before
	// there is a new code.
	codeLinkTime = 10 * time.Second
)

// coder shows codes in place of the tokens of an offer, one for each, for as long as the
// offer waits for peers.
type coder struct {
	spot
	hubs   *hubs  // for the codes alone
	tokens func() // shows the tokens, which stand for codes that are not to be had
	fail   context.CancelCauseFunc
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	codes []string      // the code that is open for each token, "" for none
	known []bool        // whether each token has had a code, or gets none
	ready chan struct{} // closed when all are known
	begun bool          // the wait for the first codes is over
	shown bool          // the user has the tokens
}

// showsCodes reports whether codes stand for the tokens that an offer would show: a hub
// is there, and what they are for does not last.
func (n *Node) showsCodes(o Offer) bool {
	return len(n.options.Hubs) > 0 && !o.Pairs && (o.Once || o.Temporary) && o.ShowToken && o.TokenFile == "" && len(o.Tokens) > 0
}

// showCodes begins to show codes. It blocks until the user has the first ones, or the tokens
// because there is no code. shown says that the user has the tokens anyway.
func (w *Waiter) showCodes(at spot, shown bool) *coder {
	count := len(at.offer.Tokens)
	c := &coder{spot: at, fail: w.fail, codes: make([]string, count), known: make([]bool, count), ready: make(chan struct{}), shown: shown}
	c.tokens = w.showTokens
	heard := make(chan struct{}, 1)
	c.hubs = at.node.openHubs(at.node.options.Hubs, false, func(a *agent.Agent, u hub.URL) {
		a.OnHeard = func() { signal(heard) }
		a.OnOffer = func(_ context.Context, of agent.Offer) agent.Answer { return c.answer(u, of) }
	})
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	for i := range at.offer.Tokens {
		c.wg.Go(func() { c.offerCodes(ctx, i) })
	}
	select {
	case <-c.ready:
	case <-untilLate(ctx, heard):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	if slices.Contains(c.codes, "") {
		c.showTokensLocked()
	}
	return c
}

// untilLate returns a channel that is closed when a code is late: heard is told each answer of
// the hub. It ends with ctx.
func untilLate(ctx context.Context, heard <-chan struct{}) <-chan struct{} {
	late := make(chan struct{})
	go func() {
		defer close(late)
		silent, limit := time.NewTimer(firstCodeTime), time.NewTimer(firstCodeLimit)
		defer silent.Stop()
		defer limit.Stop()
		for {
			select {
			case <-heard:
				silent.Reset(firstCodeTime)
			case <-silent.C:
				return
			case <-limit.C:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return late
}

// signal tells a channel with room for one element, unless it has been told.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (c *coder) showTokensLocked() {
	if !c.shown {
		c.shown = true
		c.tokens()
	}
}

// stop closes the codes. A nil *coder shows none.
func (c *coder) stop() {
	if c == nil {
		return
	}
	c.cancel()
	c.wg.Wait()
	c.hubs.close()
}

// open returns the code that is open for a token, "" for none.
func (c *coder) open(i int) string {
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.codes[i]
}

// offerCodes has a code open for a token until ctx ends.
func (c *coder) offerCodes(ctx context.Context, i int) {
	var why error
	for {
		s, err := c.offerCode(ctx, i, why)
		if c.set(i, ""); err != nil {
			c.ended(ctx, i, err)
			return
		}
		c.node.Log.Info("code proven", "peer", s.Peer, "name", s.Name)
		if !c.offer.Once { // others may come too
			continue
		}
		why = errors.New("the node that had the code has not linked")
		select {
		case <-time.After(codeLinkTime):
		case <-ctx.Done():
			return
		}
	}
}

// ended handles the end of the codes for a token. Too many wrong ones end the waiter;
// without the hub, the token does.
func (c *coder) ended(ctx context.Context, i int, err error) {
	if ctx.Err() != nil {
		return
	}
	if wrong := proto.CodeOf(err) == proto.Denied && !errors.Is(err, agent.ErrLogin); wrong && c.offer.Once {
		c.fail(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.knowLocked(i)
	if c.begun && c.offer.Temporary {
		c.node.Log.Warn("there are no more codes", "err", err)
		return
	}
	c.node.Warn(fmt.Errorf("no code: %w", err))
	if c.begun {
		c.showTokensLocked()
	}
}

// offerCode has a code open at the first hub that gives one.
func (c *coder) offerCode(ctx context.Context, i int, why error) (s agent.Session, err error) {
	for at, a := range c.hubs.agents {
		shown := false
		s, err = a.OfferCode(ctx, agent.CodeOffer{
			Kind:  c.codeKind(),
			Grant: func(_ context.Context, d agent.CodeDialer) (hub.Grant, func(), error) { return c.grant(i, d) },
			Show: func(code hub.Code, reason error) {
				if reason == nil {
					reason = why
				}
				shown = true
				c.show(i, code, c.hubs.urls[at], reason)
			},
		})
		if err == nil {
			c.places.open(session{s.Peer, c.hubs.urls[at], s.Relays, s.Grant, nil, s.Keys, s.Updates}, c.spot)
		}
		if err == nil || shown || ctx.Err() != nil {
			return s, err
		}
	}
	return s, err
}

// codeKind is the kind of the codes. Files tell a dialer that a pipe may not be taken.
func (c *coder) codeKind() hub.Kind {
	for _, kind := range []string{wire.KindTTY, wire.KindFiles} {
		if c.takes(kind) {
			return hub.Kind(kind)
		}
	}
	return hub.KindPipe
}

// grant makes the token of a dialer that has proven the code.
func (c *coder) grant(i int, d agent.CodeDialer) (g hub.Grant, undo func(), err error) {
	caps := c.offer.Tokens[i].Caps
	g, undo, code := c.tokenFor(d.Peer, caps, token.Reason{What: "the code was proven"})
	if code != "" {
		return g, nil, proto.Errorf(proto.Busy, "no token could be made")
	}
	c.node.noteProven(g.Token, acquaintance{grade: GradeCode})
	g.Caps, g.Via, g.Candidates = caps.String(), c.via(), c.candidates()
	return g, undo, nil
}

// answer decides about the request of another node, which has one of the tokens that the
// codes stand for.
func (c *coder) answer(at hub.URL, of agent.Offer) agent.Answer {
	if of.Request.Bearer == nil {
		return agent.Answer{Decline: hub.CodeDenied}
	}
	return c.answerBearer(at, of)
}

// show tells the user a code. Once a shared terminal has begun, mesh-tty ctl token does.
func (c *coder) show(i int, code hub.Code, at hub.URL, why error) {
	text, offered := code.Encode(), c.offer.Tokens[i]
	c.set(i, text)
	c.node.reporter.emit(event{Event: "code", Hub: at.Name(), ShortCode: text, Allows: offered.Caps.String()})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun && c.offer.Temporary {
		c.node.Log.Info("another code is open", "why", why)
		return
	}
	if why != nil {
		c.node.note(proto.EscapeText(why.Error()) + "; there is a new code")
	}
	command := c.offer.Command + " " + text
	if c.offer.Operand != "" {
		command += " " + c.offer.Operand
	}
	c.node.note(cmp.Or(offered.Where, otherSide) + ", run: " + command)
	if c.offer.Also != "" && !c.known[i] {
		c.node.note(c.offer.Also)
	}
	c.node.handOver(c.offer, text, command, i == 0)
	c.knowLocked(i)
}

// set notes the code that is open for a token, "" for none.
func (c *coder) set(i int, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.codes[i] = code
}

// knowLocked notes that a token has had a code, or gets none.
func (c *coder) knowLocked(i int) {
	if c.known[i] {
		return
	}
	if c.known[i] = true; !slices.Contains(c.known, false) {
		close(c.ready)
	}
}
