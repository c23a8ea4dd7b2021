package share_test

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

// patience bounds every wait of a test.
const patience = 60 * time.Second

// room is a session with viewers.
type room struct {
	*share.Session
	t  *testing.T
	wg sync.WaitGroup
}

func newRoom(t *testing.T, o share.Options) *room {
	t.Helper()
	if o.Cols == 0 {
		o.Cols, o.Rows = 80, 24
	}
	r := &room{Session: share.New(o), t: t}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(r.Feed)
	wg.Go(func() { r.Watch(ctx) })
	t.Cleanup(func() {
		r.Exit(0, 0)
		cancel()
		wg.Wait()
		r.wg.Wait()
	})
	return r
}

// viewer is a viewer that follows what it is sent.
type viewer struct {
	t    *testing.T
	to   io.WriteCloser
	done chan struct{} // closed when err, the sharer's side's, is set
	err  error

	mu        sync.Mutex
	changed   sync.Cond
	session   wire.TermSession
	screen    *vt.Terminal
	raw       []byte // all TERM_OUT
	seq       int64  // behind the last
	acked     int64  // the last TERM_ACK's
	keeps     bool   // raw is wanted
	fresh     time.Time
	waited    time.Duration // the longest from one frame to the next
	snapshots int
	gap       int64 // bytes left out
	marks     []string
	ctl       wire.TermCtl
	notices   []string
	exit      *wire.TermExit
	ended     error   // of reading
	stalled   bool    // takes nothing
	rate      float64 // takes so many bytes a second; 0 for all there is
}

// view lets a viewer in.
func (r *room) view(who share.Visitor, open wire.TermOpen) *viewer {
	r.t.Helper()
	source, sink, wait := pipe.Join(r.t.Context(), func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error {
		return r.Serve(ctx, from, to, who)
	})
	v := &viewer{t: r.t, done: make(chan struct{}), screen: vt.New(80, 24, 100), acked: -1, keeps: open.Mode == wire.TermRaw}
	v.changed.L = &v.mu
	in, to := io.Pipe()
	v.to = to
	r.wg.Go(func() { // what the pipe does
		defer close(v.done)
		_, err := io.Copy(sink, in)
		_ = in.Close() // nobody takes more
		if err == nil {
			err = sink.Finish(0)
		}
		v.err = wait(err)
	})
	r.wg.Go(func() { v.read(source) })
	v.send(wire.AppendFrame(nil, &open))
	v.wait("TERM_SESSION", func() bool { return v.session.Cols > 0 })
	return v
}

func anyone(caps proto.Caps) share.Visitor {
	return share.Visitor{ID: "mk1" + strings.Repeat("a", 20), Name: "alice", Addr: "192.0.2.1:4600", Caps: caps}
}

const (
	mayView = proto.CapTTYView
	mayType = proto.CapTTYView | proto.CapTTYControl
)

func (v *viewer) send(frame []byte) { _, _ = v.to.Write(frame) } // an end is noticed elsewhere

func (v *viewer) typeKeys(keys string) { v.send(wire.AppendTermIn(nil, []byte(keys))) }

func (v *viewer) read(r io.Reader) {
	all := []wire.Type{wire.TypeTermSession, wire.TypeTermOut, wire.TypeTermSnapshot, wire.TypeTermResize, wire.TypeTermMark, wire.TypeTermCtl, wire.TypeTermExit}
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

func (v *viewer) take(typ wire.Type, body []byte) error {
	v.mu.Lock()
	for v.stalled {
		v.changed.Wait()
	}
	if v.rate > 0 {
		took := time.Duration(float64(len(body)) / v.rate * float64(time.Second))
		v.mu.Unlock()
		<-time.After(took)
		v.mu.Lock()
	}
	defer v.mu.Unlock()
	defer v.changed.Broadcast()
	ack := false
	switch typ {
	case wire.TypeTermSession:
		if err := wire.ParseBody(body, &v.session); err != nil {
			return err
		}
		v.screen.Resize(v.session.Cols, v.session.Rows)
		v.seq = v.session.Seq
	case wire.TypeTermOut:
		seq, data, err := wire.ParseTermOut(body)
		if err != nil {
			return err
		}
		if seq != v.seq {
			return errors.New("output is not where it should be")
		}
		_, _ = v.screen.Write(data)
		if v.keeps {
			v.raw = append(v.raw, data...)
		}
		v.seq += int64(len(data))
		ack = true
	case wire.TypeTermSnapshot:
		s, err := wire.ParseTermSnapshot(body)
		if err != nil {
			return err
		}
		if s.Seq < v.seq {
			return errors.New("snapshot of the past")
		}
		v.gap += s.Seq - v.seq
		v.snapshots++
		v.screen.Resize(s.Cols, s.Rows)
		_, _ = v.screen.Write(s.Repaint)
		v.seq = s.Seq
		ack = true
	case wire.TypeTermResize:
		var m wire.TermResize
		if err := wire.ParseBody(body, &m); err != nil {
			return err
		}
		if m.Seq != v.seq {
			return errors.New("size is not where it should be")
		}
		v.screen.Resize(m.Cols, m.Rows)
	case wire.TypeTermMark:
		var m wire.TermMark
		if err := wire.ParseBody(body, &m); err != nil {
			return err
		}
		v.marks = append(v.marks, m.Text)
	case wire.TypeTermCtl:
		v.ctl = wire.TermCtl{}
		if err := wire.ParseBody(body, &v.ctl); err != nil {
			return err
		}
		if v.ctl.Notice != "" {
			v.notices = append(v.notices, v.ctl.Notice)
		}
	case wire.TypeTermExit:
		var m wire.TermExit
		if err := wire.ParseBody(body, &m); err != nil {
			return err
		}
		v.exit = &m
	}
	if ack && v.seq > v.acked {
		v.acked = v.seq
		now := time.Now()
		if !v.fresh.IsZero() {
			v.waited = max(v.waited, now.Sub(v.fresh))
		}
		v.fresh = now
		v.send(wire.AppendFrame(nil, &wire.TermAck{Seq: v.seq}))
	}
	return nil
}

// stall stops taking anything, or goes on.
func (v *viewer) stall(stalled bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stalled = stalled
	v.changed.Broadcast()
}

// wait blocks until is, which is called with the viewer locked, says so.
func (v *viewer) wait(what string, is func() bool) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	late := false
	timer := time.AfterFunc(patience, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		late = true
		v.changed.Broadcast()
	})
	defer timer.Stop()
	for !is() {
		if late || v.ended != nil && v.exit == nil && !errors.Is(v.ended, io.EOF) {
			v.t.Fatalf("waited for %s: ended %v, screen\n%q", what, v.ended, v.screen.Text())
		}
		v.changed.Wait()
	}
}

// end waits for the end of the sharer's side and wants its code.
func (v *viewer) end(want proto.Code) {
	v.t.Helper()
	select {
	case <-v.done:
	case <-time.After(patience):
		v.t.Fatal("viewer is still there")
	}
	if got := proto.CodeOf(v.err); got != want {
		v.t.Errorf("viewer ended with %v (%v), want %v", got, v.err, want)
	}
}

// sameAs waits until the viewer's terminal is as another one.
func (v *viewer) sameAs(want *vt.Terminal) {
	v.t.Helper()
	v.wait("the same screen", func() bool {
		return slices.Equal(v.screen.Snapshot(0), want.Snapshot(0))
	})
}

// ioPipe returns a viewer's pipes: what it says, and what nobody reads.
func ioPipe(says []byte) (*io.PipeReader, *io.PipeWriter) {
	from, w := io.Pipe()
	go func() { _, _ = w.Write(says) }()
	r, to := io.Pipe()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	return from, to
}

// safeBuffer is a buffer for many.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
