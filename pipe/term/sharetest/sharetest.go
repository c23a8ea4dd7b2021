// Package sharetest gives tests a shared session with viewers that follow it.
package sharetest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/pipe"
	"mesh/pipe/term/share"
	"mesh/pipe/term/vt"
	"mesh/proto"
	"mesh/proto/wire"
)

// Patience bounds every wait of a test.
const Patience = 60 * time.Second

// Room is a session and its viewers.
type Room struct {
	*share.Session
	t  *testing.T
	wg sync.WaitGroup // the viewers' goroutines
}

// NewRoom starts a session, of 80x24 unless o has a size. It ends with the test.
func NewRoom(t *testing.T, o share.Options) *Room {
	t.Helper()
	if o.Cols == 0 {
		o.Cols, o.Rows = 80, 24
	}
	r := Attach(t, share.New(o))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(r.Feed)
	wg.Go(func() { r.Watch(ctx) })
	t.Cleanup(func() {
		r.Exit(0, 0)
		cancel()
		wg.Wait()
		r.Wait()
	})
	return r
}

// Attach returns a room for a session that something else runs and ends.
func Attach(t *testing.T, s *share.Session) *Room { return &Room{Session: s, t: t} }

// Wait waits until all viewers have ended.
func (r *Room) Wait() { r.wg.Wait() }

// The capabilities of viewers.
const (
	MayView = proto.CapTTYView
	MayType = proto.CapTTYView | proto.CapTTYControl
)

// Visitor returns a visitor from the address book with the given capabilities.
func Visitor(caps proto.Caps) share.Visitor {
	return share.Visitor{ID: "mk1" + strings.Repeat("a", 20), Name: "alice", Addr: "192.0.2.1:4600", Caps: caps}
}

// Viewer is a viewer that checks and follows the frames it receives. Lock it to
// read the exported fields while frames may still arrive.
type Viewer struct {
	Session   wire.TermSession
	Screen    *vt.Terminal
	Raw       []byte        // all output, if the viewer asked for [wire.TermRaw]
	Seq       int64         // the position after the last frame
	Longest   time.Duration // the longest time between two frames with news
	Snapshots int
	Gap       int64 // bytes of output that snapshots stood for
	Marks     []string
	Ctl       wire.TermCtl // the last one
	Notices   []string
	Idle      []wire.TermIdle
	Exit      *wire.TermExit
	Rate      float64 // bytes a second that the viewer reads; 0 for no limit

	t    *testing.T
	to   io.WriteCloser
	done chan struct{} // closed when err, how Serve ended, is set
	err  error

	mu      sync.Mutex // guards all but the four fields above
	changed sync.Cond  // on mu
	acked   int64      // the last TERM_ACK's
	keeps   bool       // Raw is wanted
	fresh   time.Time  // of the last frame with news
	ended   error      // of reading
	stalled bool       // reads nothing
}

// View connects a viewer and waits for its first frame.
func (r *Room) View(who share.Visitor, open wire.TermOpen) *Viewer {
	r.t.Helper()
	source, sink, wait := pipe.StartDialogue(r.t.Context(), func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error {
		return r.Serve(ctx, from, to, who)
	})
	v := &Viewer{t: r.t, done: make(chan struct{}), Screen: vt.New(80, 24, 100), acked: -1, keeps: open.Mode == wire.TermRaw}
	v.changed.L = &v.mu
	in, to := io.Pipe()
	v.to = to
	r.wg.Go(func() { // copies the viewer's frames, as an exchange does
		defer close(v.done)
		_, err := io.Copy(sink, in)
		_ = in.Close() // so that Send does not block
		if err == nil {
			err = sink.Finish(0)
		}
		v.err = wait(err)
	})
	r.wg.Go(func() { v.read(source) })
	v.Send(wire.AppendFrame(nil, &open))
	v.Wait("TERM_SESSION", func() bool { return v.Session.Cols > 0 })
	return v
}

// Send sends a frame. If the session has ended, the frame is lost.
func (v *Viewer) Send(frame []byte) { _, _ = v.to.Write(frame) }

// TypeKeys sends keys in one TERM_IN.
func (v *Viewer) TypeKeys(keys string) { v.Send(wire.AppendTermIn(nil, []byte(keys))) }

func (v *Viewer) read(r io.Reader) {
	all := []wire.Type{wire.TypeTermSession, wire.TypeTermOut, wire.TypeTermSnapshot, wire.TypeTermResize, wire.TypeTermMark, wire.TypeTermCtl, wire.TypeTermIdle, wire.TypeTermExit}
	for {
		typ, body, err := wire.ReadFrame(r, all...)
		if err == nil {
			err = v.take(typ, body)
		}
		if err != nil {
			v.mu.Lock()
			v.ended = err
			v.changed.Broadcast()
			v.mu.Unlock()
			_ = v.to.Close()
			return
		}
	}
}

func (v *Viewer) take(typ wire.Type, body []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for v.stalled {
		v.changed.Wait()
	}
	if v.Rate > 0 {
		took := time.Duration(float64(len(body)) / v.Rate * float64(time.Second))
		v.mu.Unlock()
		<-time.After(took)
		v.mu.Lock()
	}
	defer v.changed.Broadcast()
	err := v.follow(typ, body)
	if err == nil && (typ == wire.TypeTermOut || typ == wire.TypeTermSnapshot) {
		v.acknowledge()
	}
	return err
}

// follow shows a frame. It is called with mu held.
func (v *Viewer) follow(typ wire.Type, body []byte) error {
	switch typ {
	case wire.TypeTermOut:
		return v.output(body)
	case wire.TypeTermSnapshot:
		return v.snapshot(body)
	case wire.TypeTermSession:
		err := wire.ParseBody(body, &v.Session)
		if err == nil {
			v.Screen.Resize(v.Session.Cols, v.Session.Rows)
			v.Seq = v.Session.Seq
		}
		return err
	case wire.TypeTermResize:
		var m wire.TermResize
		if err := wire.ParseBody(body, &m); err != nil {
			return err
		}
		if m.Seq != v.Seq {
			return errors.New("size is not where it should be")
		}
		v.Screen.Resize(m.Cols, m.Rows)
		return nil
	case wire.TypeTermMark:
		var m wire.TermMark
		err := wire.ParseBody(body, &m)
		v.Marks = append(v.Marks, m.Text)
		return err
	case wire.TypeTermCtl:
		v.Ctl = wire.TermCtl{}
		err := wire.ParseBody(body, &v.Ctl)
		if v.Ctl.Notice != "" {
			v.Notices = append(v.Notices, v.Ctl.Notice)
		}
		return err
	case wire.TypeTermIdle:
		var m wire.TermIdle
		err := wire.ParseBody(body, &m)
		v.Idle = append(v.Idle, m)
		return err
	}
	v.Exit = new(wire.TermExit)
	return wire.ParseBody(body, v.Exit)
}

func (v *Viewer) output(body []byte) error {
	seq, data, err := wire.ParseTermOut(body)
	if err != nil {
		return err
	}
	if seq != v.Seq {
		return errors.New("output is not where it should be")
	}
	_, _ = v.Screen.Write(data)
	if v.keeps {
		v.Raw = append(v.Raw, data...)
	}
	v.Seq += int64(len(data))
	return nil
}

func (v *Viewer) snapshot(body []byte) error {
	s, err := wire.ParseTermSnapshot(body)
	if err != nil {
		return err
	}
	if s.Seq < v.Seq {
		return errors.New("snapshot of the past")
	}
	v.Gap += s.Seq - v.Seq
	v.Snapshots++
	v.Screen.Resize(s.Cols, s.Rows)
	_, _ = v.Screen.Write(s.Repaint)
	v.Seq = s.Seq
	return nil
}

// acknowledge sends a TERM_ACK if the last frame brought output.
func (v *Viewer) acknowledge() {
	if v.Seq <= v.acked {
		return
	}
	v.acked = v.Seq
	now := time.Now()
	if !v.fresh.IsZero() {
		v.Longest = max(v.Longest, now.Sub(v.fresh))
	}
	v.fresh = now
	v.Send(wire.AppendFrame(nil, &wire.TermAck{Seq: v.Seq}))
}

// Stall stops reading, or continues.
func (v *Viewer) Stall(stalled bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stalled = stalled
	v.changed.Broadcast()
}

// Wait waits until is, which is called with the viewer locked, returns true.
func (v *Viewer) Wait(what string, is func() bool) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	late := false
	timer := time.AfterFunc(Patience, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		late = true
		v.changed.Broadcast()
	})
	defer timer.Stop()
	for !is() {
		if late || v.ended != nil && v.Exit == nil && !errors.Is(v.ended, io.EOF) {
			v.t.Fatalf("waited for %s: ended %v, screen\n%q", what, v.ended, v.Screen.Text())
		}
		v.changed.Wait()
	}
}

// WantEnd waits until Serve has returned, and checks the code of its error.
func (v *Viewer) WantEnd(want proto.Code) {
	v.t.Helper()
	select {
	case <-v.done:
	case <-time.After(Patience):
		v.t.Fatal("viewer is still there")
	}
	if got := proto.CodeOf(v.err); got != want {
		v.t.Errorf("viewer ended with %v (%v), want %v", got, v.err, want)
	}
}

// WantScreen waits until the viewer's screen equals that of another terminal.
func (v *Viewer) WantScreen(want *vt.Terminal) {
	v.t.Helper()
	v.Wait("the same screen", func() bool {
		return slices.Equal(v.Screen.Snapshot(0), want.Snapshot(0))
	})
}

// Leave ends the viewer's side.
func (v *Viewer) Leave() { _ = v.to.Close() }

// Ask asks for the right to type.
func (v *Viewer) Ask() { v.Send(wire.AppendFrame(nil, &wire.TermCtl{Ask: true})) }

// Lock locks the viewer's fields.
func (v *Viewer) Lock() { v.mu.Lock() }

// Unlock unlocks the viewer's fields.
func (v *Viewer) Unlock() { v.mu.Unlock() }
