package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"mesh/proto/tcp"
)

// wire is the relay's side of a connection that has passed the door. One goroutine reads
// (ready, moveTo) while another one writes. Only say may be called at any time.
type wire interface {
	// say writes a status byte, within [sayTimeout].
	say(Status) error
	// watch waits until the connection ends or sends something, both of which a node
	// must not do while its place waits, and then calls gone. It does not block: start
	// starts the goroutine that does.
	watch(start func(func()), gone func(error))
	// claim ends watch. It returns an error unless the connection still waits.
	claim() error
	// ready blocks until there are bytes to move, and returns how many, at most limit.
	// The error is [io.EOF] if the node's process has ended the connection.
	ready(limit int) (int, error)
	// moveTo moves n bytes, which are ready, to another wire, or nowhere if that is nil.
	moveTo(to wire, n int) error
	// Write blocks while the node's receive window is closed.
	io.Writer
	// closeWrite tells the node that the other end's process has ended the connection.
	closeWrite()
	// close ends a connection whose both directions have ended.
	close()
	// reset ends the connection at once. It tells the node nothing about the other end.
	reset()
}

const (
	// sayTimeout bounds the write of a status, placeTimeout the time until the host of a
	// place has acknowledged it. A place whose host is gone would be joined otherwise.
	sayTimeout   = 5 * time.Second
	placeTimeout = 20 * time.Second
	// grantBytes bounds what one call of moveTo moves. bufferBytes bounds it where the
	// bytes pass through this process.
	grantBytes  = 256 << 10
	bufferBytes = 64 << 10
)

// errEarly is the end of a connection that sends something before it is joined.
var errEarly = errors.New("the node sends before it is joined")

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// plain is a connection at the plain door.
type plain struct {
	conn net.Conn     // what was accepted
	bare *net.TCPConn // the same without any wrapper; nil if it is no TCP connection
	buf  []byte       // what ready has read; nil if bare tells what is ready
	over chan error   // sent by watch once
}

func newPlain(conn net.Conn) *plain {
	w := &plain{conn: conn}
	w.bare, _ = unwrap(conn).(*net.TCPConn)
	tcp.Tune(unwrap(conn))
	return w
}

// unwrap returns the connection below all wrappers, which tell it by a method NetConn as
// [tls.Conn] does. Only a bare *net.TCPConn can be spliced.
func unwrap(conn net.Conn) net.Conn {
	for {
		w, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = w.NetConn()
	}
}

func (w *plain) say(s Status) error {
	deadline := time.Time{}
	if s != Joined {
		deadline = time.Now().Add(sayTimeout)
	}
	_ = w.conn.SetWriteDeadline(deadline)
	_, err := w.conn.Write([]byte{byte(s)})
	return err
}

func (w *plain) watch(start func(func()), gone func(error)) {
	w.over = make(chan error, 1)
	setUserTimeout(w.conn, placeTimeout)
	start(func() {
		err := w.wait()
		w.over <- err
		gone(err)
	})
}

// wait blocks until the connection has something to say.
func (w *plain) wait() error {
	var err error
	if w.bare != nil && canSplice {
		_, err = readable(w.bare)
	} else {
		_, err = w.conn.Read(make([]byte, 1))
	}
	if err == nil {
		err = errEarly
	}
	return err
}

func (w *plain) claim() error {
	setUserTimeout(w.conn, 0)
	_ = w.conn.SetReadDeadline(past)
	err := <-w.over
	_ = w.conn.SetReadDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

func (w *plain) ready(limit int) (int, error) {
	if w.bare != nil && canSplice {
		n, err := readable(w.bare)
		return min(n, limit), err
	}
	buf := getBuffer()
	n, err := w.conn.Read(buf[:min(limit, len(buf))])
	if n == 0 {
		putBuffer(buf)
		return 0, err
	}
	w.buf = buf
	return n, nil
}

func (w *plain) moveTo(to wire, n int) error {
	if w.buf != nil {
		defer func() {
			putBuffer(w.buf)
			w.buf = nil
		}()
		return write(to, w.buf[:n])
	}
	if p, ok := to.(*plain); ok && p.bare != nil {
		return splice(p.bare, w.bare, n)
	}
	buf := getBuffer()
	defer putBuffer(buf)
	for n > 0 {
		part := buf[:min(n, len(buf))]
		if _, err := io.ReadFull(w.bare, part); err != nil {
			return err
		}
		if err := write(to, part); err != nil {
			return err
		}
		n -= len(part)
	}
	return nil
}

// splice moves n bytes that are ready. The kernel moves them (splice(2)) only as long as
// both are bare TCP connections.
func splice(to, from *net.TCPConn, n int) error {
	_, err := to.ReadFrom(&io.LimitedReader{R: from, N: int64(n)})
	return err
}

// write writes to a wire, or nowhere if it is nil.
func write(to wire, p []byte) error {
	if to == nil {
		return nil
	}
	_, err := to.Write(p)
	return err
}

func (w *plain) Write(p []byte) (int, error) { return w.conn.Write(p) }

func (w *plain) closeWrite() {
	if half, ok := unwrap(w.conn).(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (w *plain) close() { _ = w.conn.Close() }

func (w *plain) reset() { reset(w.conn) }

// reset closes a connection, at TCP with a RST.
func reset(conn net.Conn) {
	bare := unwrap(conn)
	if s, ok := bare.(interface{ SetLinger(int) error }); ok {
		_ = s.SetLinger(0)
	}
	_ = bare.Close()
	_ = conn.Close() // a wrapper may have something to clean up
}
