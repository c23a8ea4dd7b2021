package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// settleTime bounds the wait for what the hubs say about a name.
const settleTime = 5 * time.Second

// presence is a waiter at the hubs of its node: it is online under its name, and answers
// the dialers that ask for it there.
type presence struct {
	spot
	quiet    bool        // there for nodes with a token or a transfer alone
	full     atomic.Bool // there is a peer, and there will be no other
	refusals *strangers
	fail     context.CancelCauseFunc // of the waiter

	updating sync.Mutex       // held while hubs are joined and left, and guards open
	open     map[string]*hubs // by URL; each has one agent
	ctx      context.Context  // ends with stop
	cancel   context.CancelFunc

	mu      sync.Mutex
	wanted  AtHubs          // as it was given last
	begun   int             // how many hubs there are at first
	known   map[string]bool // by hub, and name or room: whether that was registered or joined
	told    map[string]bool // the hubs whose loss the user knows
	heard   map[string]bool // the hubs that have answered, or cannot be reached
	settled chan struct{}   // closed when all hubs are in heard
	refused map[identity.ID]bool
	asking  sync.Mutex // held while the user is asked; guards questions

	questions []time.Time // when the last ones were asked
}

// present begins to be online for an offer. One without a name, without rooms and that does
// not last is told to no hub, but is there for the nodes that have its tokens, unless
// codes are shown, which take their place. fail ends the waiter.
func (p spot) present(guard *strangers, byCode bool, fail context.CancelCauseFunc) *presence {
	o, hubs := p.offer, p.node.options.Hubs
	quiet := !o.lasts() && o.As == "" && len(o.Rooms) == 0
	if quiet && (len(hubs) == 0 || byCode) || len(hubs) == 0 && !o.lasts() {
		return nil
	}
	made := newPresence(p, quiet)
	made.refusals, made.fail = guard, fail
	made.update(AtHubs{hubs, o.As, o.Rooms})
	return made
}

func newPresence(at spot, quiet bool) *presence {
	p := &presence{
		spot: at, quiet: quiet, open: make(map[string]*hubs), begun: len(at.node.options.Hubs),
		known: make(map[string]bool), told: make(map[string]bool), heard: make(map[string]bool), settled: make(chan struct{}), refused: make(map[identity.ID]bool),
	}
	p.ctx, p.cancel = context.WithCancel(at.node.life)
	return p
}

// lasts reports whether a tool with this offer runs until it is stopped.
func (o Offer) lasts() bool { return !o.Once && !o.Temporary }

// hostName returns the name of this machine without its domain, "" if that can be no name.
func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return nameOfHost(host)
}

func nameOfHost(host string) string {
	name, _, _ := strings.Cut(strings.ToLower(host), ".")
	if name == "localhost" || hub.CheckName(name) != nil {
		return ""
	}
	return name
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
	p.node.options.Board.AtHub(u.Name(), err)
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

// say prints a line; once a shared terminal has begun, and where the user has not asked for
// a hub, it goes to the log.
func (p *presence) say(text string) {
	if p.quiet {
		p.node.Log.Info(text)
		return
	}
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
	if p.heard[u.String()] = true; len(p.heard) == p.begun {
		close(p.settled)
	}
}

// settle waits until the hubs have answered about a name and rooms that the user gave, and
// returns why the waiter must end.
func (p *presence) settle(failed context.Context) error {
	if p == nil || p.offer.As == "" && len(p.offer.Rooms) == 0 {
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
	switch {
	case of.Request.Bearer != nil:
		return p.answerBearer(at, of)
	case p.quiet:
		return agent.Answer{Decline: hub.CodeDenied}
	case p.full.Load():
		return agent.Answer{Decline: hub.CodeBusy}
	}
	caps, code := p.rights(of)
	why := token.Reason{What: "the key is in " + identity.AuthorizedPeersFile}
	byToken := false
	if code == hub.CodeDenied || code == hub.CodeCapability {
		if more, rule, ok := p.byRoom(of); ok {
			caps, code, why, byToken = more, "", rule, true
		}
	}
	ping := of.Request.Kind == hub.KindPing // which troubles nobody
	asks := code == hub.CodeDenied && p.mayAsk() && !ping
	if code == hub.CodeDenied && !asks && !ping {
		p.refusals.tell(of.From)
	}
	if (code == "" || asks) && !ping && !p.takes(string(of.Request.Kind)) {
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
		if name := p.node.issuedDialer(of); code == "" && name != "" {
			p.node.noteProven(g.Token, acquaintance{GradeIssued, name})
		}
	}
	if code != "" {
		p.node.Log.Info("request declined", "peer", of.From, "name", of.Name, "kind", of.Request.Kind, "want", of.Request.Want, "code", code)
		return agent.Answer{Decline: code}
	}
	g.Caps = caps.String()
	p.node.Log.Info("request accepted", "peer", of.From, "name", of.Name, "kind", of.Request.Kind, "caps", caps, "why", why.What)
	return p.accept(at, of, g, undo)
}

// taken says that the only peer has come. A nil *presence does nothing.
func (p *presence) taken() {
	if p != nil {
		p.full.Store(true)
	}
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
