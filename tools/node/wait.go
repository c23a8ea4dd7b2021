package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/outfile"
)

// Offer is what a tool waits for peers with.
type Offer struct {
	// Caps is what there is to grant, to a token or to an authorised peer.
	Caps proto.Caps
	// Also is what else there is to grant, to an authorised peer, and with Second
	// to the bearer of a second token, that allows both.
	Also   proto.Caps
	Second bool
	// Passing says that this is not where the node will be found later.
	Passing bool
	// Takes reports whether a kind of transfer is taken; nil for pipes alone.
	Takes func(kind string) bool
	// Narrow, if it is set, returns what a node may do at the most, whatever lets it in.
	Narrow func(id identity.ID) proto.Caps
	// NoToken makes none: only who has one of mesh-token or is allowed comes in.
	NoToken bool
	// Max is how many peers are served at once, Once whether the first is the
	// last.
	Max  int
	Once bool
	// MaxPerPeer is how many of Max one node may be at a time; 0 for all.
	MaxPerPeer int
	// Command is what to run on the other side, before the token, and Operand,
	// if it is set, what to give it behind that.
	Command, Operand string
}

// Waiter waits for peers.
type Waiter struct {
	node     *Node
	endpoint *link.Endpoint
	listener *link.Listener
	offer    Offer
	limit    time.Time // for the first peer; zero for none
	expires  time.Time // of the token
}

// ListenFlags are the flags of every tool that can wait for a peer.
func ListenFlags() []cli.Flag {
	return []cli.Flag{cmdline.Listen(), cmdline.Addr(), cmdline.TokenFile(), cmdline.TTL(), cmdline.Wait()}
}

// Wait opens a socket, makes a token and shows it: in --token-file, else on
// stderr. The token is for one node if the offer is for one peer.
func (n *Node) Wait(c *cli.Context, offer Offer) (*Waiter, error) {
	addr := c.String("listen")
	if addr == "" {
		addr = ":0"
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return nil, proto.Hint(proto.Errorf(proto.Usage, "listen on %q: want HOST:PORT or :PORT, a port from 0 to 65535", addr), "--listen :4600 takes all addresses of this machine")
	}
	e, err := n.listening(n.Key, addr)
	if err != nil {
		return nil, listenError(err)
	}
	e.Takes, e.MaxPerPeer = offer.Takes, offer.MaxPerPeer
	w := &Waiter{node: n, endpoint: e, offer: offer}
	if err := w.open(c); err != nil {
		_ = e.Close()
		return nil, err
	}
	return w, nil
}

func (w *Waiter) open(c *cli.Context) error {
	addrs := c.StringSlice("addr")
	if len(addrs) == 0 {
		var err error
		if addrs, err = ownAddrs(w.endpoint.Addr()); err != nil {
			return err
		}
	}
	uses, max := uint16(0), w.offer.Max
	if w.offer.Once {
		uses, max = 1, 1
	}
	registry := token.NewRegistry(w.node.Key, w.node.Book)
	var tokens []token.Token
	for _, caps := range w.offer.grants() {
		t, err := registry.Issue(caps, c.Duration("ttl"), uses, addrs)
		if err != nil {
			return &proto.Error{Code: proto.Usage, Err: err}
		}
		tokens = append(tokens, t)
		w.expires = t.Expires
	}
	if wait := c.Duration("wait"); wait > 0 {
		w.limit = time.Now().Add(wait)
	}
	var guard handshake.Guard = registry
	if w.offer.Narrow != nil {
		guard = narrowed{registry, w.offer.Narrow}
	}
	var err error
	if w.listener, err = w.endpoint.Listen(guard, w.offer.Caps|w.offer.Also, max); err != nil {
		return err
	}
	if !w.offer.Once && !w.offer.Passing {
		if err := writeAddrs(w.node.Book.Dir, addrs); err != nil {
			return err
		}
	}
	if w.offer.NoToken {
		w.node.Listening(w.endpoint.Addr().String())
	}
	for i, t := range tokens {
		if err := w.show(c, t, i); err != nil {
			return err
		}
	}
	return nil
}

// grants is what each of the tokens allows that are made.
func (o Offer) grants() []proto.Caps {
	switch {
	case o.NoToken:
		return nil
	case o.Second:
		return []proto.Caps{o.Caps, o.Caps | o.Also}
	}
	return []proto.Caps{o.Caps}
}

// narrowed lets nodes do less than the registry does.
type narrowed struct {
	*token.Registry
	most func(identity.ID) proto.Caps
}

func (n narrowed) Find(h *wire.Hello, dialer identity.ID) (token.Admission, error) {
	a, err := n.Registry.Find(h, dialer)
	a.Caps &= n.most(dialer)
	return a, err
}

func (n narrowed) AccessRevoked(dialer identity.ID, id *token.ID, granted proto.Caps) bool {
	return n.Registry.AccessRevoked(dialer, id, granted) || !n.most(dialer).Has(granted)
}

// secondSuffix is what the file of the second token is called beside the first's.
const secondSuffix = ".control"

// show gives the i-th token out. What shows it to a person must not be parsed.
func (w *Waiter) show(c *cli.Context, t token.Token, i int) error {
	text, err := t.Encode()
	if err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	w.node.tell.listening(w.endpoint.Addr().String(), t, text)
	file, where := c.String("token-file"), "on the other side"
	if i > 0 {
		where = "to type there too"
	}
	if file == "-" {
		return proto.Hint(proto.Errorf(proto.Usage, `--token-file takes a file, and no "-"`), "without it the token is shown on standard error")
	}
	if file != "" {
		file += []string{"", secondSuffix}[i]
		return outfile.Write(file, []byte(text+"\n"), 0o600)
	}
	how := w.offer.Command + " " + text
	switch {
	case t.MultiUse() && w.offer.Operand != "": // the environment can't give it then
		how = "(umask 077; echo " + text + " >token); " + w.offer.Command + " @token"
	case t.MultiUse():
		how = EnvPeer + "=" + text + " " + w.offer.Command
	}
	if w.offer.Operand != "" {
		how += " " + w.offer.Operand
	}
	if _, err := fmt.Fprintf(c.App.ErrWriter, "%s: %s, run: %s\n", cmdline.Name(c), where, how); err != nil {
		return proto.Errorf(proto.IO, "show the token: %w", err)
	}
	return nil
}

// Accept waits for the next peer. A waiter for one peer gives up when its token
// has expired, since nobody else would come, and every waiter when --wait ends
// before the first has come.
func (w *Waiter) Accept(ctx context.Context) (*link.Link, error) {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	giveUp := func(at time.Time, why error) {
		if !at.IsZero() {
			timer := time.AfterFunc(time.Until(at), func() { cancel(why) })
			context.AfterFunc(waiting, func() { timer.Stop() })
		}
	}
	giveUp(w.limit, proto.Errorf(proto.Unreachable, "no peer came in the time to wait"))
	if w.offer.Once {
		giveUp(w.expires, proto.Errorf(proto.Unreachable, "no peer came before the token expired"))
	}
	l, err := w.listener.Accept(waiting)
	if err != nil {
		return nil, err
	}
	w.limit = time.Time{}
	w.node.tell.peer(w.node.Party(l))
	return l, nil
}

// Stop stops waiting. Links that were accepted live on.
func (w *Waiter) Stop() { _ = w.listener.Close() }

// Close stops waiting and closes the socket, which ends every link: close those
// first.
func (w *Waiter) Close() {
	_ = w.listener.Close()
	_ = w.endpoint.Close()
}

// listenError gives a socket that can't be had its code.
func listenError(err error) error {
	if isNotOurs(err) {
		return proto.Hint(proto.Errorf(proto.Config, "%w", err), "--listen takes an address of this machine, or :PORT for all of them")
	}
	if isInUse(err) {
		return proto.Hint(proto.Errorf(proto.IO, "%w", err), "another process has that port: choose another, or 0 for a free one")
	}
	if errors.Is(err, fs.ErrPermission) {
		return proto.Hint(proto.Errorf(proto.IO, "%w", err), "ports below 1024 are for root: choose another")
	}
	return proto.IOError(err)
}

// ownAddrs returns where a socket can be reached: its own address, or if it is
// bound to none, those of this machine that mean something elsewhere. Only a
// machine that has none of these offers loopback.
func ownAddrs(bound net.Addr) ([]string, error) {
	at, err := netip.ParseAddrPort(bound.String())
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(int(at.Port()))
	if ip := at.Addr().Unmap(); !ip.IsUnspecified() {
		return []string{net.JoinHostPort(ip.WithZone("").String(), port)}, nil
	}
	ifAddrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, proto.IOError(err)
	}
	var addrs, loopback []string
	for _, a := range ifAddrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip := prefix.Addr().Unmap()
		addr := net.JoinHostPort(ip.String(), port)
		switch {
		case at.Addr().Is4() && !ip.Is4():
		case ip.IsLoopback():
			loopback = append(loopback, addr)
		case ip.IsGlobalUnicast() && len(addrs) < identity.MaxAddrs:
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		addrs = loopback[:min(1, len(loopback))]
	}
	return addrs, nil
}

// Unlimited is the Max of an offer without one.
const Unlimited = math.MaxInt
