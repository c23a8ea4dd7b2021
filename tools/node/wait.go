package node

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/token"
	"mesh/tools/outfile"
)

// Offer says which peers a tool waits for, and what they may do.
type Offer struct {
	// Caps is all that is granted: a peer gets what its token, or the list of
	// authorised peers, allows of it.
	Caps proto.Caps
	// Tokens are made and shown, one for each element. Without any, a peer needs a
	// token of mesh-token, or must be an authorised peer.
	Tokens []TokenOffer
	// Addrs are the HOST:PORTs in the tokens. Without any, the node puts in its own.
	Addrs []string
	// TTL is how long the tokens live; 0: as long as the process.
	TTL time.Duration
	// TokenFile is where the tokens are written; "" shows them on standard error. One
	// for many uses is shown only on a terminal, and not for a listener that nodes may
	// use without it: logs are read by others.
	TokenFile string
	// ShowToken shows them on standard error in any case.
	ShowToken bool
	// QR draws each token or code that is shown as a QR code too, and Copy has the terminal
	// put the first command into its clipboard. Standard error must be a terminal.
	QR, Copy bool
	// TokenOnly refuses nodes that come with their key alone, also authorised peers.
	TokenOnly bool
	// Command is the tool to run on the other side, before the token, and Operand,
	// if it is set, its argument after the token. They are printed with the token.
	Command, Operand string
	// Also, if it is set, is a line printed behind the tokens.
	Also string
	// NoEnv says that Command does not read [EnvPeer].
	NoEnv bool

	// Once accepts one peer only: the tokens are for one node, and the waiter gives up
	// when they have expired.
	Once bool
	// Max is how many peers are served at a time; Once means 1.
	Max int
	// MaxPerPeer is how many of Max one node may take; 0 for all.
	MaxPerPeer int
	// Wait limits the time until the first peer comes; 0 for no limit.
	Wait time.Duration
	// Temporary says that the node will not be found here later: mesh-token new does
	// not put the addresses into its tokens.
	Temporary bool

	// Pairs says that the offer is for pairing: it admits only with the tokens that it makes,
	// and shows no codes for them.
	Pairs bool

	// Takes reports whether a kind of transfer is taken; nil for pipes alone.
	Takes func(kind string) bool
	// TakesNamed says that pipes with a name are taken, whatever Takes says of pipes.
	TakesNamed bool
	// As is the name at the hubs. Without one, an offer that lasts has the name of this
	// machine there, and others are not told to the hubs.
	As string
	// Rooms are the rooms at the hubs that the node is in while it waits.
	Rooms []string
	// Asks says that the user may be asked at the terminal about a node without rights that
	// comes by a hub: nothing else reads standard input.
	Asks bool
	// Kinds are told to the hubs beside those that Takes takes when the waiter begins.
	Kinds []string
	// Limit, if it is set, returns the most that a node may do, whatever its token
	// says. A node whose limit cannot be read is told that this one is busy.
	Limit func(id identity.ID) (proto.Caps, error)
}

// TokenOffer is a token to make.
type TokenOffer struct {
	Caps proto.Caps
	// Suffix is added to the name of the token file.
	Suffix string
	// Where is printed before the command to run: where, or what for; "" means "on
	// the other side".
	Where string
}

// Waiter waits for peers.
type Waiter struct {
	node     *Node
	offer    Offer
	listener *link.Listener
	once     bool
	deadline time.Time // for the first peer; zero for none
	expires  time.Time // of the tokens

	at       spot
	presence *presence       // nil without a hub
	coder    *coder          // nil if no codes are shown
	failed   context.Context // ends when the presence fails
	fail     context.CancelCauseFunc

	mu     sync.Mutex // guards tokens
	tokens []token.Token
}

// Wait opens the node's sockets, makes the tokens of the offer and shows them: in the
// token file, else on standard error. A node waits for one offer at a time. Call
// [Waiter.Stop] in the end.
func (n *Node) Wait(o Offer) (*Waiter, error) {
	if o.TokenFile == "-" {
		return nil, proto.Hint(proto.Errorf(proto.Usage, `--token-file takes a file, and no "-"`), "without it the token is shown on standard error")
	}
	if err := n.checkHandOver(o); err != nil {
		return nil, err
	}
	if err := n.checkVia(n.options.Via); err != nil {
		return nil, err
	}
	at := AtHubs{n.options.Hubs, o.As, o.Rooms}
	if err := at.check(); err != nil {
		return nil, err
	}
	o.As, o.Rooms = at.As, at.Rooms
	if n.options.Rooms != nil {
		if _, err := n.options.Rooms(); err != nil {
			return nil, err
		}
	}
	e, err := n.listenEndpoint(!o.Once && !o.Temporary)
	if err != nil {
		return nil, err
	}
	n.answerNearby(e)
	bound, given := n.boundTo(e), o.Addrs
	if o.Addrs, err = addrsNow(given, bound); err != nil {
		return nil, err
	}
	asked, withheld := o.ShowToken, ""
	o.ShowToken, withheld = n.showsTokens(o)
	byCode := n.showsCodes(o)
	tokens, err := n.issue(o)
	if err != nil {
		return nil, err
	}
	w := &Waiter{node: n, offer: o, once: o.Once, tokens: tokens}
	if o.Wait > 0 {
		w.deadline = time.Now().Add(o.Wait)
	}
	if len(tokens) > 0 {
		w.expires = tokens[0].Expires
	}
	guard, refusals := n.guardOf(o)
	if w.listener, err = n.listen(e, o, guard); err != nil {
		return nil, err
	}
	w.at = spot{node: n, offer: o, at: bound, given: given, endpoint: e, guard: guard, places: n.newPlaces(e), ports: new(forwarding)}
	w.failed, w.fail = context.WithCancelCause(context.Background())
	announced := o
	announced.ShowToken = o.ShowToken && (asked || !byCode)
	if err := n.announce(announced, textOf(bound), tokens); err != nil {
		w.Stop()
		return nil, err
	}
	if !o.Once && !o.Temporary {
		go n.followAddrs(given, bound, o.Addrs)
	}
	if withheld != "" {
		n.note(withheld)
	}
	w.presence = w.at.present(refusals, byCode, w.fail)
	if err := w.presence.settle(w.failed); err != nil {
		w.Stop()
		return nil, err
	}
	if w.presence != nil {
		w.at.ports.start(w.presence)
	}
	if byCode {
		w.coder = w.showCodes(w.at, asked)
	}
	return w, nil
}

// Codes returns the code that is open for each token of the offer, "" where there is none.
func (w *Waiter) Codes() []string {
	codes := make([]string, len(w.offer.Tokens))
	for i := range codes {
		codes[i] = w.coder.open(i)
	}
	return codes
}

// Tokens returns the tokens of the offer with their texts. Those for which isClosed
// returns true are replaced by new ones, in the token file too. Tokens that [Node.Wait]
// did not make, because nobody would have seen them, are made now.
func (w *Waiter) Tokens(isClosed func(id string) bool) (tokens []token.Token, texts []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.offer
	o.ShowToken = true
	if o.Addrs, err = addrsNow(w.at.given, w.at.at); err != nil {
		return nil, nil, err
	}
	for i, offered := range o.Tokens {
		if i < len(w.tokens) && !isClosed(w.tokens[i].ID.String()) {
			continue
		}
		one := o
		one.Tokens = []TokenOffer{offered}
		made, err := w.node.issue(one)
		if err != nil {
			return nil, nil, err
		}
		w.tokens = slices.Replace(w.tokens, i, min(i+1, len(w.tokens)), made[0])
		if o.TokenFile == "" {
			continue
		}
		text, err := made[0].Encode()
		if err == nil {
			err = outfile.WriteSecret(o.TokenFile+offered.Suffix, []byte(text+"\n"))
		}
		if err != nil {
			return nil, nil, err
		}
	}
	for _, t := range w.tokens {
		text, err := t.Encode()
		if err != nil {
			return nil, nil, err
		}
		texts = append(texts, text)
	}
	return slices.Clone(w.tokens), texts, nil
}

// showTokens prints the tokens.
func (w *Waiter) showTokens() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.node.printTokens(w.offer, w.tokens)
}

// listen begins to accept the peers of an offer.
func (n *Node) listen(e *link.Endpoint, o Offer, guard handshake.Guard) (*link.Listener, error) {
	lo := link.ListenOptions{Guard: guard, Offer: o.Caps, Takes: o.Takes, TakesNamed: o.TakesNamed, Via: n.options.Via, Max: o.Max, MaxPerPeer: o.MaxPerPeer}
	if o.Once {
		lo.Max = 1
	}
	return e.Listen(lo)
}

// textOf returns the text of an address, "" for nil.
func textOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// issue makes the tokens of an offer.
func (n *Node) issue(o Offer) ([]token.Token, error) {
	uses := uint16(0) // any number
	if o.Once {
		uses = 1
	}
	if o.TokenFile == "" && !o.ShowToken && n.options.Events == nil {
		return nil, nil // nobody would get to know them
	}
	var tokens []token.Token
	for _, offered := range o.Tokens {
		t, err := n.Tokens.Issue(offered.Caps, o.TTL, uses, o.Addrs)
		if err != nil {
			return nil, &proto.Error{Code: proto.Usage, Err: err}
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// announce tells the user and other tools where the node is and which tokens it has.
func (n *Node) announce(o Offer, at string, tokens []token.Token) error {
	if !o.Once && !o.Temporary {
		if err := writeAddrs(n.Book.Dir, o.Addrs); err != nil { // nothing of this process needs it
			n.Warn(fmt.Errorf("mesh-token new needs --addr: %w", err))
		}
	}
	if len(tokens) == 0 {
		n.Listening(at)
	}
	for i, t := range tokens {
		if err := n.showToken(o, o.Tokens[i], at, t); err != nil {
			return err
		}
	}
	if o.Also != "" && o.ShowToken && len(tokens) > 0 {
		n.note(o.Also)
	}
	if far := reach(o.Addrs, at); far != "" && o.ShowToken && len(tokens) > 0 {
		n.tell(far)
	}
	if o.ShowToken {
		n.handOverTokens(o, tokens)
	}
	return nil
}

// Accept blocks until the next peer has come. It fails when ctx ends, when the time
// for the first peer is over, and for an offer for one peer when the token has
// expired.
func (w *Waiter) Accept(ctx context.Context) (*link.Link, error) {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	giveUp := func(at time.Time, why error) {
		if !at.IsZero() {
			timer := time.AfterFunc(time.Until(at), func() { cancel(why) })
			context.AfterFunc(waiting, func() { timer.Stop() })
		}
	}
	defer context.AfterFunc(w.failed, func() { cancel(context.Cause(w.failed)) })()
	giveUp(w.deadline, proto.Errorf(proto.Unreachable, "no peer came in the time to wait"))
	if w.once {
		giveUp(w.expires, proto.Errorf(proto.Unreachable, "no peer came before the token expired"))
	}
	l, err := w.listener.Accept(waiting)
	if err != nil {
		return nil, err
	}
	w.deadline = time.Time{}
	w.at.places.claim(l)
	if w.once { // it has its peer
		w.presence.taken()
		go func() {
			w.at.awaitHole(l)
			w.leave()
			w.at.linger(l)
		}()
	}
	w.node.reporter.peer(w.node.Party(l))
	return l, nil
}

// Stop stops waiting. Links that were accepted live on.
func (w *Waiter) Stop() {
	_ = w.listener.Close()
	w.leave()
	w.at.places.close()
	w.at.ports.stop()
	w.fail(nil)
}

// leave leaves the hubs.
func (w *Waiter) leave() {
	w.coder.stop()
	w.presence.stop()
}
