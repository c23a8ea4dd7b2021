package view_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"mesh/pipe/term/view"
	"mesh/proto"
	"mesh/proto/wire"
)

// limit bounds every wait; it is only reached when a test fails.
const limit = 20 * time.Second

// sharer is the other side of a view: it sends what the test says, and collects what the
// viewer sends.
type sharer struct {
	t    *testing.T
	w    io.WriteCloser
	seq  int64
	done chan struct{} // closed when the viewer's pipe has ended

	mu     sync.Mutex
	opened *wire.TermOpen
	typed  bytes.Buffer
	acked  int64
	sizes  []wire.TermResize
	asked  int
	err    error         // why the viewer's frames ended
	news   chan struct{} // a value is there when something has come
}

func newSharer(t *testing.T, r io.Reader, w io.WriteCloser) *sharer {
	s := &sharer{t: t, w: w, done: make(chan struct{}), news: make(chan struct{}, 1), acked: -1}
	go s.read(r)
	return s
}

func (s *sharer) read(r io.Reader) {
	defer close(s.done)
	for {
		typ, body, err := wire.ReadFrame(r, wire.TypeTermOpen, wire.TypeTermIn, wire.TypeTermAck, wire.TypeTermResize, wire.TypeTermCtl)
		s.mu.Lock()
		switch {
		case err != nil:
			s.err = err
		case typ == wire.TypeTermOpen:
			s.opened = new(wire.TermOpen)
			err = wire.ParseBody(body, s.opened)
		case typ == wire.TypeTermIn:
			err = wire.CheckTermIn(body)
			s.typed.Write(body)
		case typ == wire.TypeTermAck:
			var m wire.TermAck
			err = wire.ParseBody(body, &m)
			if m.Seq <= s.acked {
				s.t.Errorf("%d is acknowledged after %d", m.Seq, s.acked)
			}
			s.acked = m.Seq
		case typ == wire.TypeTermResize:
			var m wire.TermResize
			err = wire.ParseBody(body, &m)
			s.sizes = append(s.sizes, m)
		case typ == wire.TypeTermCtl:
			var m wire.TermCtl
			err = wire.ParseBody(body, &m)
			if !m.Ask {
				s.t.Errorf("got %+v", m)
			}
			s.asked++
		}
		if err != nil && s.err == nil {
			s.t.Errorf("%s: %v", typ, err)
		}
		s.mu.Unlock()
		select {
		case s.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// wait waits until is, which is called with the lock held, returns true.
func (s *sharer) wait(what string, is func() bool) {
	s.t.Helper()
	late := time.After(limit)
	for {
		s.mu.Lock()
		ok := is()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.news:
		case <-late:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.t.Fatalf("no %s: typed %q, acknowledged %d, sizes %v, err %v", what, s.typed.String(), s.acked, s.sizes, s.err)
		}
	}
}

func (s *sharer) waitAcked() {
	s.t.Helper()
	s.wait("acknowledgement", func() bool { return s.acked == s.seq })
}

// wantNothing checks that the viewer has sent no keys and no size yet.
func (s *sharer) wantNothing(while string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.typed.Len() != 0 || len(s.sizes) != 0 {
		s.t.Errorf("%s: typed %q, sizes %v", while, s.typed.String(), s.sizes)
	}
}

func (s *sharer) waitTyped(want string) {
	s.t.Helper()
	s.wait("input "+want, func() bool { return s.typed.String() == want })
}

func (s *sharer) frame(b []byte) {
	s.t.Helper()
	if _, err := s.w.Write(b); err != nil {
		s.t.Errorf("write to the viewer: %v", err)
	}
}

func (s *sharer) message(m wire.Message) { s.t.Helper(); s.frame(wire.AppendFrame(nil, m)) }

const viewOnly, mayType = "tty:view", "tty:view,tty:control"

func (s *sharer) session(rights string, cols, rows int) {
	s.t.Helper()
	s.message(&wire.TermSession{Session: wire.TransferID{1}, Name: "bob", Rights: rights, Seq: s.seq, Cols: cols, Rows: rows})
}

func (s *sharer) output(out string) {
	s.t.Helper()
	for p := []byte(out); len(p) > 0; {
		n := min(len(p), proto.MaxTermOutBytes)
		s.frame(wire.AppendTermOut(nil, s.seq, p[:n]))
		s.seq += int64(n)
		p = p[n:]
	}
}

func (s *sharer) snapshot(cols, rows int, repaint string) {
	s.t.Helper()
	s.frame(wire.AppendTermSnapshot(nil, wire.TermSnapshot{Seq: s.seq, Cols: cols, Rows: rows, Repaint: []byte(repaint)}))
}

func (s *sharer) exit(code int) {
	s.t.Helper()
	s.message(&wire.TermExit{Seq: s.seq, Code: code})
	_ = s.w.Close()
}

// viewing is a view in this process.
type viewing struct {
	*sharer
	cancel context.CancelCauseFunc
	out    *buffer
	ended  chan struct{} // closed when end and err are set
	end    view.End
	err    error
}

// buffer is a writer that may be read concurrently.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// start begins a view, which writes to out unless o has another writer.
func start(t *testing.T, o view.Options) *viewing {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	from, w := io.Pipe()
	r, to := io.Pipe()
	v := &viewing{sharer: newSharer(t, r, w), cancel: cancel, out: new(buffer), ended: make(chan struct{})}
	if o.Out == nil {
		o.Out = v.out
	}
	go func() {
		defer close(v.ended)
		v.end, v.err = view.Run(ctx, from, to, o)
		_ = from.CloseWithError(v.err)
		_ = to.CloseWithError(v.err)
	}()
	t.Cleanup(func() {
		cancel(errors.New("the test is over"))
		_ = w.Close()
		<-v.ended
	})
	return v
}

// wantEnd waits for the end.
func (v *viewing) wantEnd(end view.End, code proto.Code) {
	v.t.Helper()
	select {
	case <-v.ended:
	case <-time.After(limit):
		v.t.Fatal("the view does not end")
	}
	if v.end != end || proto.CodeOf(v.err) != code {
		v.t.Errorf("got end %+v and error %v, want %+v and %s", v.end, v.err, end, code)
	}
}
