package relay

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"mesh/proto"
	"mesh/proto/tcp"
)

// web is the relay's side of a connection by WebSocket.
type web struct {
	*messages
	raw     net.Conn // what was hijacked
	buf     []byte   // what ready has read
	over    chan error
	start   func(func()) // starts a goroutine of the relay
	closing sync.Once
}

// closeTime is how long a node has to answer the Close frame when both directions have
// ended.
const closeTime = 2 * time.Second

// ServeWebSocket serves GET [PathWebSocket]. It takes over the connection and returns when
// that has its place or is closed. r.RemoteAddr is the source that limits count: behind a
// proxy the caller puts the client's address there. The listener of the HTTP server may
// wrap its connections as [Server.ServePlain] says.
func (s *Server) ServeWebSocket(w http.ResponseWriter, r *http.Request) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "want GET", http.StatusMethodNotAllowed)
		return
	case scheme != Scheme || text == "" || len(text) > MaxPermitBytes:
		w.Header().Set("WWW-Authenticate", Scheme)
		http.Error(w, "want Authorization: "+Scheme+" and a permit", http.StatusUnauthorized)
		return
	case r.Header.Get("Origin") != "": // of a page; no browser sends a permit
		http.Error(w, "not for browsers", http.StatusForbidden)
		return
	}
	h := &hijacked{ResponseWriter: w}
	e, ok := s.enter(addrOf(r.RemoteAddr), h.reset)
	if !ok {
		s.count(DoorWSS, proto.Busy)
		http.Error(w, "too many connections", http.StatusTooManyRequests)
		return
	}
	defer s.leave(e)
	ws, err := websocket.Accept(h, r, &websocket.AcceptOptions{Subprotocols: []string{Subprotocol}, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	c := &web{messages: newMessages(ws), raw: h.conn, start: s.spawn}
	if ws.Subprotocol() != Subprotocol {
		s.refuse(c, DoorWSS, proto.Errorf(proto.Protocol, "no WebSocket subprotocol %s", Subprotocol))
		return
	}
	tcp.Tune(unwrap(h.conn))
	timer := time.AfterFunc(s.limits.doorTimeout, h.reset)
	l, err := s.check(c, c, DoorWSS, text)
	if !timer.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	s.settle(c, l, err)
}

// hijacked keeps the connection below a WebSocket, which package websocket hides.
type hijacked struct {
	http.ResponseWriter
	mu    sync.Mutex
	conn  net.Conn
	ended bool
}

// Hijack implements [http.Hijacker].
func (h *hijacked) Hijack() (c net.Conn, rw *bufio.ReadWriter, err error) {
	c, rw, err = http.NewResponseController(h.ResponseWriter).Hijack()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn = c; err == nil && h.ended {
		reset(c)
	}
	return c, rw, err
}

// reset ends the connection at once.
func (h *hijacked) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended = true; h.conn != nil {
		reset(h.conn)
	}
}

func (w *web) say(s Status) error {
	ctx, cancel := context.WithTimeout(context.Background(), sayTimeout)
	defer cancel()
	return w.ws.Write(ctx, websocket.MessageBinary, []byte{byte(s)})
}

// watch waits for the first message. It goes on after claim: a read of a WebSocket can't
// be interrupted.
func (w *web) watch(start func(func()), gone func(error)) {
	setUserTimeout(w.raw, placeTimeout)
	if w.over != nil {
		return
	}
	w.over = make(chan error, 1)
	start(func() {
		err := w.next()
		w.over <- err
		if err == nil {
			err = errEarly
		}
		gone(err)
	})
}

func (w *web) claim() error {
	setUserTimeout(w.raw, 0)
	select {
	case err := <-w.over:
		if err == nil {
			err = errEarly
		}
		return err
	default:
		return nil
	}
}

func (w *web) ready(limit int) (int, error) {
	if w.over != nil {
		err := <-w.over
		if w.over = nil; err != nil {
			return 0, err
		}
	}
	if w.msg == nil { // no buffer is held while nothing comes
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	buf := getBuffer()
	n, err := w.Read(buf[:min(limit, len(buf))])
	if err != nil {
		putBuffer(buf)
		return 0, err
	}
	w.buf = buf
	return n, nil
}

func (w *web) moveTo(to wire, n int) error {
	defer putBuffer(w.buf)
	return write(to, w.buf[:n])
}

// Write writes to the node, or nowhere once its process has ended the connection.
func (w *web) Write(p []byte) (int, error) {
	n, err := w.messages.Write(p)
	if w.ended.Load() {
		return len(p), nil
	}
	return n, err
}

func (w *web) closeWrite() {
	w.closing.Do(func() { w.start(w.end) })
}

func (w *web) close() {
	w.closing.Do(func() {
		w.start(func() {
			timer := time.AfterFunc(closeTime, func() { reset(w.raw) })
			defer timer.Stop()
			w.end()
		})
	})
}

func (w *web) reset() {
	reset(w.raw)
	_ = w.ws.CloseNow()
}
