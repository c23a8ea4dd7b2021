package handoff

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"mesh/pipe/local"
	"mesh/proto"
	"mesh/tools/node"
)

// patience is how long a taker may need to say what it wants, and that it is ready.
const patience = 5 * time.Second

// maxTakers bounds those who wait.
const maxTakers = 64

// Desk is the daemon's side. A nil Desk has no takers.
type Desk struct {
	listener net.Listener
	log      *slog.Logger
	wg       sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	waiting []*Taker // in the order of their coming
	open    map[*conn]struct{}
}

// Open makes the socket. One that another daemon answers at stays, with an error
// of code [proto.Busy]; one that nobody does is replaced.
func Open(path string, log *slog.Logger) (*Desk, error) {
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return nil, proto.Errorf(proto.Busy, "%s: another daemon has it", path)
	}
	l, err := local.Listen(path)
	if err != nil {
		return nil, err
	}
	d := &Desk{listener: l, log: log, open: make(map[*conn]struct{})}
	d.wg.Go(d.accept)
	return d, nil
}

// Close takes the socket away and sends those home who wait. What is being taken
// goes on. It may be called more than once.
func (d *Desk) Close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed = true
	_ = d.listener.Close()
	for c := range d.open {
		_ = c.Close()
	}
	d.waiting = nil
	d.mu.Unlock()
	d.wg.Wait()
}

func (d *Desk) accept() {
	for {
		c, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors left, most likely
			d.log.Warn("mesh-recv --next not taken", "err", err)
			<-time.After(100 * time.Millisecond)
			continue
		}
		d.wg.Go(func() { d.greet(newConn(c)) })
	}
}

// greet hears what a taker wants, and then that it is ready, or gone.
func (d *Desk) greet(c *conn) {
	if !d.keep(c) {
		return
	}
	defer d.release(c)
	_ = c.SetDeadline(time.Now().Add(patience))
	var w want
	if err := c.expect(typeWant, &w); err != nil {
		_ = c.Close()
		return
	}
	t := &Taker{conn: c, kinds: w.Kinds, ready: make(chan struct{}), gone: make(chan struct{})}
	if !d.line(t) {
		_ = c.Close()
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	typ, _, err := c.next()
	if err == nil && typ == typeReady {
		close(t.ready)
		return
	}
	close(t.gone)
	d.mu.Lock()
	d.waiting = slices.DeleteFunc(d.waiting, func(o *Taker) bool { return o == t })
	d.mu.Unlock()
	_ = c.Close()
}

// keep notes a connection that Close closes; release says that it is somebody
// else's from now on.
func (d *Desk) keep(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.open) == maxTakers {
		_ = c.Close()
		return false
	}
	d.open[c] = struct{}{}
	return true
}

func (d *Desk) release(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, c)
}

// line adds a taker to those who wait, and tells it so before it is given anything.
func (d *Desk) line(t *Taker) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || t.send(typeWaiting, nil) != nil {
		return false
	}
	d.waiting = append(d.waiting, t)
	return true
}

// Takes reports whether somebody waits for a kind of transfer.
func (d *Desk) Takes(kind string) bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.waiting, func(t *Taker) bool { return slices.Contains(t.kinds, kind) })
}

// Take gives a delivery to the one who has waited longest for its kind, and
// returns who has it, or nil if nobody is there.
func (d *Desk) Take(ctx context.Context, kind string, party node.Party) *Taker {
	for {
		t := d.pop(kind)
		if t == nil {
			return nil
		}
		_ = t.SetWriteDeadline(time.Now().Add(patience))
		if err := t.message(typeGive, give{kind, party}); err == nil {
			timer := time.NewTimer(patience)
			select {
			case <-t.ready:
				timer.Stop()
				_ = t.SetWriteDeadline(time.Time{})
				return t
			case <-t.gone:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
		_ = t.Close()
	}
}

func (d *Desk) pop(kind string) *Taker {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.waiting, func(t *Taker) bool { return slices.Contains(t.kinds, kind) })
	if i < 0 {
		return nil
	}
	t := d.waiting[i]
	d.waiting = slices.Delete(d.waiting, i, i+1)
	return t
}
