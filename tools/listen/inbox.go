package listen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mesh/pipe/files"
	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/handoff"
	"mesh/tools/node"
	"mesh/tools/notify"
	"mesh/tools/service"
	"mesh/tools/silence"
)

// stopGrace is how long deliveries may go on after the process was told to end. Then
// they are broken off, for the sender to repeat, and have as long again to clean up.
const stopGrace = 5 * time.Second

// daemon is a mesh-listen --inbox.
type daemon struct {
	node     *node.Node
	streams  cmdline.Streams
	queue    *handoff.Queue // nil without a socket
	settings atomic.Pointer[settings]
	reread   func(context.Context) (rereadFlags, error)
	wg       sync.WaitGroup // of deliveries
	notifier *notify.Notifier
	alarm    *silence.Alarm
}

// serveInbox stores what peers send until ctx ends. One peer may have half of the
// places, so that it cannot keep all others away.
func serveInbox(ctx context.Context, n *node.Node, o options, s cmdline.Streams) error {
	settings, err := o.inbox.check(n.Book)
	if err != nil {
		return err
	}
	d := &daemon{node: n, streams: s, reread: o.reread}
	d.settings.Store(settings)
	stopTelling, err := d.startTelling()
	if err != nil {
		return err
	}
	defer stopTelling()
	d.openQueue()
	go d.collect(ctx)
	defer d.queue.Close()
	w, err := n.Wait(d.offer(o.offer))
	if err != nil {
		return err
	}
	defer w.Stop()
	hide, err := o.show(n, d.fill, d.notified)
	if err != nil {
		return err
	}
	defer hide()
	manager := service.New()
	defer manager.Stop()
	// Deliveries outlive ctx by stopGrace.
	running, breakOff := context.WithCancelCause(context.WithoutCancel(ctx))
	defer breakOff(nil)
	hangups, stop := o.hangups()
	defer stop()
	err = d.serve(ctx, running, w, manager, hangups)
	manager.Stopping()
	w.Stop()
	d.queue.Close()
	d.wait(func() { breakOff(context.Cause(ctx)) })
	return err
}

// offer completes the offer of the flags. A token is made if somebody can see it; a
// service serves authorised peers, and those with a token of mesh-token.
func (d *daemon) offer(o node.Offer) node.Offer {
	o.Caps, o.Takes, o.Limit = proto.CapSend, d.takes, d.limit
	o.Max = min(o.Max, files.MaxDeliveries())
	o.MaxPerPeer = (o.Max + 1) / 2
	o.Asks, o.TakesNamed = true, true
	o.Kinds = []string{wire.KindFiles, wire.KindPipe} // a mesh-recv --next may want a pipe later
	o.Command, o.Operand = "mesh-cat", "FILE…"
	if o.TokenFile != "" || o.ShowToken || term.IsTerminal(d.streams.Err) {
		o.Tokens = []node.TokenOffer{{Caps: o.Caps}}
	}
	return o
}

// openQueue makes the socket for mesh-recv --next. Deliveries do not need it.
func (d *daemon) openQueue() {
	var err error
	if d.queue, err = handoff.Open(handoff.Path(d.node.Book.Dir), d.node.Log); err != nil {
		d.node.Warn(fmt.Errorf("mesh-recv --next cannot take deliveries: %w", err))
	}
}

// collectEvery is how often collectOld is called.
const collectEvery = 24 * time.Hour

// collect calls collectOld now and then until ctx ends.
func (d *daemon) collect(ctx context.Context) {
	again := time.NewTicker(collectEvery)
	defer again.Stop()
	for ctx.Err() == nil {
		d.collectOld(ctx, d.settings.Load().dir)
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// collectOld removes what broken deliveries have left in the inbox more than a day ago.
func (d *daemon) collectOld(ctx context.Context, dir string) {
	root, err := os.OpenRoot(dir)
	if err == nil {
		defer root.Close()
		err = files.CollectOld(ctx, root)
	}
	if err != nil && ctx.Err() == nil {
		d.streams.Warn(fmt.Errorf("what old broken deliveries have left stays: %w", err))
	}
}

// takes reports whether a kind of transfer is taken now.
func (d *daemon) takes(kind string) bool {
	return kind == wire.KindFiles || kind == wire.KindPipe && d.settings.Load().name != "" || d.queue.Accepts(kind)
}

func (d *daemon) limit(id identity.ID) (proto.Caps, error) {
	return d.settings.Load().limitOf(d.node.Book, id)
}

// serve takes deliveries until ctx ends or the listener fails. The loop is also the
// service manager's sign that the daemon is alive.
func (d *daemon) serve(ctx, running context.Context, w *node.Waiter, manager *service.Manager, hangups <-chan os.Signal) error {
	links, ended := make(chan *link.Link), make(chan error, 1) // the goroutine sends; never closed
	go func() {
		for {
			l, err := w.Accept(ctx)
			if err != nil {
				ended <- err
				return
			}
			links <- l
		}
	}()
	manager.Ready()
	for {
		select {
		case l := <-links:
			d.wg.Go(func() { d.deliver(ctx, running, l) })
		case <-hangups:
			manager.Reloading()
			d.reload(ctx, w)
			manager.Ready()
		case <-manager.Due:
			manager.Alive()
		case err := <-ended:
			return err
		}
	}
}

// reload reads the settings again. Settings with a mistake change nothing.
func (d *daemon) reload(ctx context.Context, w *node.Waiter) {
	flags, err := d.reread(ctx)
	var s *settings
	if err == nil {
		s, err = flags.inbox.check(d.node.Book)
	}
	var telling notify.Settings
	if err == nil {
		telling, err = cmdline.ReadNotify()
	}
	if err == nil {
		err = w.Reload(flags.at)
	}
	if err == nil {
		d.settings.Store(s)
		d.notifier.Reload(telling)
		d.alarm.Set(s.watches)
		d.node.SetLimit(flags.limit)
	} else {
		d.streams.ComplainAbout(fmt.Errorf("settings stay as they were: %w", err), "event", "reload")
	}
	d.node.Reloaded(err)
}

// wait waits for the running deliveries, and breaks off those that take too long.
func (d *daemon) wait(breakOff func()) {
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

// deliver takes one delivery, and reports how it ended.
func (d *daemon) deliver(ctx, running context.Context, l *link.Link) {
	party := d.node.Party(l)
	got := new(received)
	folder, err := d.takeDelivery(running, l, party, got)
	d.node.Delivered(party, folder, err)
	d.tellDelivery(l, party, folder, got, err)
	if err != nil && !errors.Is(err, context.Cause(ctx)) { // which run returns
		d.streams.ComplainAbout(fmt.Errorf("delivery from %s at %s: %w", party.Label(), party.Addr, err), append(party.About("delivery"), "folder", folder)...)
	}
}
