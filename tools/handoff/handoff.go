// Package handoff is how a mesh-listen --inbox hands deliveries to the mesh-recv
// --next of the same user: over a Unix socket that only this user can open, which
// is trusted as far as that goes.
//
//	taker                                  daemon
//	  | want {kinds}                         |
//	  |------------------------------------->|
//	  |                              waiting |  the next of such a kind is the taker's
//	  |<-------------------------------------|
//	  |                give {kind, party …}  |  it has come
//	  |<-------------------------------------|
//	  | ready                                |
//	  |------------------------------------->|
//	  |     data … end {status}              |  what the sender sends
//	  |<-------------------------------------|
//	  | data … end                           |  files only: what it is answered
//	  |------------------------------------->|
//	  | result {code …}                      |  stored, or why not
//	  |------------------------------------->|
//	  |                       result {code}  |  how the transfer ended
//	  |<-------------------------------------|
//
// The daemon may send its result at any time instead: then the transfer has
// failed. Who closes the socket before its result is gone.
package handoff

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"

	"mesh/pipe/files"
	"mesh/pipe/local"
	"mesh/proto"
	"mesh/tools/node"
)

// socketFile is the socket's name in the state folder.
const socketFile = "inbox.sock"

// Path returns where the socket of the daemon with a state folder is.
func Path(state string) (string, error) {
	path := filepath.Join(state, socketFile)
	if len(path) > local.MaxPathBytes {
		return "", proto.Errorf(proto.Config, "%s: no socket can have so long a path", path)
	}
	return path, nil
}

// The types of the frames: u32 length of the body, big endian, u8 type, body.
const (
	typeWant    = 'w'
	typeWaiting = 'a'
	typeGive    = 'g'
	typeReady   = 'r'
	typeData    = 'd'
	typeEnd     = 'e'
	typeResult  = 'x'
)

const maxFrameBytes = 256 << 10

// want is what a taker waits for, give what there is for it.
type want struct {
	Kinds []string `json:"kinds"`
}

type give struct {
	Kind  string     `json:"kind"`
	Party node.Party `json:"party"`
}

// end is the end of what a side sends, with the producer's exit status.
type end struct {
	Status int `json:"status"`
}

// result is how a side has ended.
type result struct {
	Code       proto.Code    `json:"code"`
	Text       string        `json:"text"`
	Incomplete bool          `json:"incomplete"` // but for single files
	Summary    files.Summary `json:"summary"`
}

// conn is a socket that carries frames.
type conn struct {
	net.Conn
	r *bufio.Reader

	mu sync.Mutex // of writing
}

func newConn(c net.Conn) *conn { return &conn{Conn: c, r: bufio.NewReaderSize(c, maxFrameBytes)} }

func (c *conn) send(typ byte, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	frame := net.Buffers{append(head, typ), body}
	_, err := frame.WriteTo(c.Conn)
	return err
}

func (c *conn) message(typ byte, m any) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return c.send(typ, body)
}

// next reads a frame. [io.EOF] is an end between two.
func (c *conn) next() (typ byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrameBytes {
		return 0, nil, proto.Errorf(proto.Protocol, "a frame of %d bytes", n)
	}
	body = make([]byte, n)
	if _, err = io.ReadFull(c.r, body); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return head[4], body, err
}

// expect reads a frame of one type into m, nil for one without a body.
func (c *conn) expect(typ byte, m any) error {
	got, body, err := c.next()
	if err != nil {
		return err
	}
	if got != typ {
		return proto.Errorf(proto.Protocol, "frame %q where %q was expected", got, typ)
	}
	if m == nil {
		return nil
	}
	return json.Unmarshal(body, m)
}

// Write sends data.
func (c *conn) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:min(len(p), n+maxFrameBytes)]
		if err := c.send(typeData, piece); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}
