package sharing

import (
	"context"
	"sync"

	"mesh/pipe/term"
	"mesh/pipe/term/host"
	"mesh/pipe/term/share"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/notify"
)

// startTelling makes the session tell a person who views, and who asks to type, as
// [notify] says. Who shares from a terminal sees that there. stop waits up to 3 s for what
// is left to be told.
func (o Options) startTelling(n *node.Node, s cmdline.Streams, ho *host.Options) (stop func(), err error) {
	settings, err := cmdline.ReadNotify()
	if err != nil || !settings.Tells() || !o.Headless && term.IsTerminal(s.Err) {
		return func() {}, err
	}
	notifier := notify.NewDaemon(settings, n.Book.Dir, n.Log)
	ho.Joined = func(v share.Visitor, name string) {
		notifier.Post(o.viewer(v, name, notify.Joined, " views the terminal", "somebody views the terminal"))
	}
	ho.Asked = func(v share.Visitor, name string) {
		notifier.Post(o.viewer(v, name, notify.Asks, " asks to type in the terminal", "a viewer asks to type in the terminal"))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { notifier.Run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}, nil
}

// viewer returns a message about a viewer.
func (o Options) viewer(v share.Visitor, name string, kind notify.Kind, does, nameless string) notify.Message {
	words, says := name+does, name+" at "+v.Addr+does
	if o.Name != "" {
		words += " " + proto.EscapeText(o.Name)
	}
	from := "peer/" + v.ID
	if v.Token != "" && v.Name == "" { // the bearer of a token may be another node each time
		from = "token/" + v.Token
	}
	return notify.Message{
		Event: notify.EventTerminal, Kind: kind, Tool: "mesh-tty", PeerID: v.ID, PeerName: v.Name, PeerAddr: v.Addr, Peer: name,
		From: from, Words: words, Says: says + ".", NamelessWords: nameless, NamelessSays: nameless + ".",
	}
}
