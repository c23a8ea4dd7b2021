package listen

import (
	"context"
	"time"

	"mesh/pipe/files"
	"mesh/tools/board"
	"mesh/tools/cmdline"
	"mesh/tools/metrics"
	"mesh/tools/node"
	"mesh/tools/notify"
	"mesh/tools/silence"
)

// modes are the words of mesh status for what mesh-listen does.
var modes = map[mode]string{join: board.ModePipe, serve: board.ModeCommand, offer: board.ModeOffer, inbox: board.ModeInbox}

// newBoard returns the record of this listener, with counters if it gives metrics.
func (o options) newBoard() *board.Board {
	what := ""
	switch o.mode {
	case serve:
		what = o.command[0]
	case offer:
		what = o.files.Names[0]
	case inbox:
		what = o.inbox.dir
	}
	var meter *metrics.Meter
	if o.metrics != "" && o.lasts() {
		meter = metrics.New(cmdline.VersionText())
	}
	return board.New(modes[o.mode], what, cmdline.VersionText(), meter)
}

// lasts reports whether the listener runs until it is stopped.
func (o options) lasts() bool {
	return o.mode == inbox || o.mode == offer && o.all || o.mode == serve && !o.once
}

// show lets mesh status see the listener, and Prometheus if there is an address for it,
// until the returned function is called. fill completes the card, and more the gauges;
// both may be nil.
func (o options) show(n *node.Node, fill func(*board.Card), more func() []metrics.Gauge) (stop func(), err error) {
	b := n.Board()
	b.Fill = func(c *board.Card) {
		c.Places = o.offer.Max
		if fill != nil {
			fill(c)
		}
	}
	hide := n.Post(b)
	if b.Meter() == nil {
		return hide, nil
	}
	closeMetrics, err := metrics.Listen(o.metrics, b.Meter().Handler(func() []metrics.Gauge {
		list := gauges(n)
		if more != nil {
			list = append(list, more()...)
		}
		return list
	}), n.Log)
	if err != nil {
		hide()
		return nil, cmdline.ListenError(err, "--"+cmdline.MetricsName)
	}
	return func() {
		closeMetrics()
		hide()
	}, nil
}

// askTime bounds how long the shared terminals of this user are asked.
const askTime = time.Second

// gauges returns what this listener and the shared terminals of this user are now.
func gauges(n *node.Node) []metrics.Gauge {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	terminals, err := board.Ask(ctx, n.Book.Dir, board.ModeTerminal)
	if err != nil {
		n.Log.Warn("shared terminals are not counted", "err", err)
	}
	list := append(n.Board().Card().Gauges(), board.TerminalGauges(terminals)...)
	for _, c := range notify.States(n.Book.Dir) {
		list = append(list, metrics.Gauge{Name: metrics.NotifyWaits, Label: metrics.LabelChannel, Word: c.Channel, Value: float64(c.Waiting)})
	}
	return list
}

// notified returns what came of the messages of this inbox.
func (d *daemon) notified() (list []metrics.Gauge) {
	for channel, c := range d.notifier.Counts() {
		for result, n := range map[string]int{"ok": c.OK, "failed": c.Failed, "dropped": c.Dropped} {
			list = append(list, metrics.Gauge{Name: metrics.Notified, Label: metrics.LabelChannel, Word: channel, Result: result, Value: float64(n)})
		}
	}
	return list
}

// fill completes the card of an inbox.
func (d *daemon) fill(c *board.Card) {
	c.What = d.settings.Load().dir
	if free, size, ok := files.Space(c.What); ok {
		c.Free, c.Size = &free, &size
	}
	expected, err := silence.Read(d.node.Book.Dir)
	if err != nil {
		d.node.Log.Warn("what is expected is not shown", "err", err)
	}
	for _, e := range expected {
		if e.Kind == silence.Peer {
			c.Expect(e.Name, e.Expect, e.Last, e.Overdue)
		}
	}
}
