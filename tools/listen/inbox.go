package listen

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/handoff"
	"mesh/tools/node"
)

// stopGrace is how long deliveries may go on after we were told to end; then they
// are broken off, for the sender to repeat, and have as long again to clear up.
const stopGrace = 5 * time.Second

// daemon is a mesh-listen --inbox.
type daemon struct {
	c       *cli.Context
	node    *node.Node
	desk    *handoff.Desk // nil without a socket
	options atomic.Pointer[options]
	// running is what deliveries run in. It outlives the tool's own context by
	// stopGrace.
	running context.Context
	wg      sync.WaitGroup
}

// inbox stores what peers send until it is stopped. One of them has half of the
// places at the most, so that it can't keep all others away.
func inbox(c *cli.Context, n *node.Node) error {
	o, err := optionsOf(c, n.Book)
	if err != nil {
		return err
	}
	running, breakOff := context.WithCancelCause(context.WithoutCancel(c.Context))
	defer breakOff(nil)
	d := &daemon{c: c, node: n, running: running}
	d.options.Store(o)
	d.openDesk()
	defer d.desk.Close()
	w, err := n.Wait(c, node.Offer{
		Caps: proto.CapSend, Takes: d.takes, Narrow: d.most, Max: c.Int("max"), MaxPerPeer: (c.Int("max") + 1) / 2,
		Command: "mesh-cat", Operand: "FILE…", NoToken: c.String("token-file") == "" && !term.IsTerminal(c.App.ErrWriter),
	})
	if err != nil {
		return err
	}
	defer w.Close()
	s := newService()
	defer s.stop()
	err = d.serve(w, s)
	s.stopping()
	w.Stop()
	d.desk.Close()
	d.stop(func() { breakOff(context.Cause(c.Context)) })
	return err
}

// openDesk makes the socket for mesh-recv --next. Deliveries do without.
func (d *daemon) openDesk() {
	path, err := handoff.Path(d.node.Book.Dir)
	if err == nil {
		d.desk, err = handoff.Open(path, d.node.Log)
	}
	if err != nil {
		cmdline.Complain(d.c, fmt.Errorf("mesh-recv --next has nothing to take from: %w", err))
	}
}

// takes reports whether a kind of transfer is taken now.
func (d *daemon) takes(kind string) bool {
	return kind == wire.KindFiles || kind == wire.KindPipe && d.options.Load().name != "" || d.desk.Takes(kind)
}

func (d *daemon) most(id identity.ID) proto.Caps { return d.options.Load().most(d.node.Book, id) }

// serve takes deliveries until the tool is told to end, or cannot wait any more.
// What it does in between is what the service manager watches.
func (d *daemon) serve(w *node.Waiter, s *service) error {
	hangups, stop := cmdline.Hangups(d.c)
	defer stop()
	links, ended := make(chan *link.Link), make(chan error, 1) // both sent by the goroutine
	go func() {
		for {
			l, err := w.Accept(d.c.Context)
			if err != nil {
				ended <- err
				return
			}
			links <- l
		}
	}()
	s.ready()
	for {
		select {
		case l := <-links:
			d.wg.Go(func() { d.deliver(l) })
		case <-hangups:
			s.reloading()
			d.reload()
			s.ready()
		case <-s.due:
			s.alive()
		case err := <-ended:
			return err
		}
	}
}

// reload reads the settings again. Mistakes leave them as they were.
func (d *daemon) reload() {
	c, err := cmdline.Reread(d.c)
	var o *options
	if err == nil {
		o, err = optionsOf(c, d.node.Book)
	}
	if err == nil {
		d.options.Store(o)
	} else {
		cmdline.Complain(d.c, fmt.Errorf("settings stay as they were: %w", err))
	}
	d.node.Reloaded(err)
}

// stop waits for the deliveries that run, and breaks off those that last.
func (d *daemon) stop(breakOff func()) {
	done := make(chan struct{}) // closed when all have ended
	go func() {
		defer close(done)
		d.wg.Wait()
	}()
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	breakOff()
	timer.Reset(stopGrace)
	select {
	case <-done:
	case <-timer.C: // a disk, or a command, that does not answer
	}
}

// deliver takes one delivery, and tells how it went.
func (d *daemon) deliver(l *link.Link) {
	party := d.node.Party(l)
	folder, err := d.take(l, party)
	d.node.Delivered(party, folder, err)
	if err != nil && !errors.Is(err, context.Cause(d.c.Context)) { // our own end is told once
		cmdline.Complain(d.c, fmt.Errorf("delivery from %s at %s: %w", party.Label(), party.Addr, err))
	}
}
