package attacker

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/blake3"
)

// Meta begins the transfer that the attacker sends.
func (l *Link) Meta(kind string) error {
	return l.Send(JSON(FileMeta, `{"transfer":%q,"kind":%q}`, l.Transfer, kind))
}

// Chunk makes a FILE_CHUNK.
func Chunk(offset uint64, data []byte) Frame {
	return Frame{FileChunk, append(binary.BigEndian.AppendUint64(nil, offset), data...)}
}

// Data sends bytes of the transfer.
func (l *Link) Data(data []byte) error {
	_, _ = l.digest.Write(data)
	for len(data) > 0 {
		n := min(len(data), 256<<10)
		if err := l.Send(Chunk(l.sent, data[:n])); err != nil {
			return err
		}
		l.sent += uint64(n)
		data = data[n:]
	}
	return nil
}

// Put sends frames within the transfer.
func (l *Link) Put(frames ...Frame) error {
	var b []byte
	for _, f := range frames {
		b = append(b, f.Bytes()...)
	}
	return l.Data(b)
}

// Done sends FILE_DONE, and then frames that nobody expects.
func (l *Link) Done(more ...Frame) error {
	done := JSON(FileDone, `{"transfer":%q,"bytes":%d,"blake3":%q,"status":0}`, l.Transfer, l.sent, hex.EncodeToString(l.digest.Sum(nil)))
	return l.Send(append([]Frame{done}, more...)...)
}

// PutWithin is Put, but keeps to the peer's window: it waits for FILE_ACKs.
func (l *Link) PutWithin(frames ...Frame) error {
	var b []byte
	for _, f := range frames {
		b = append(b, f.Bytes()...)
	}
	for len(b) > 0 {
		n := min(int(l.taken+l.Window-l.sent), len(b))
		if n == 0 {
			if err := l.step(); err != nil {
				return err
			}
			continue
		}
		if err := l.Data(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// Taken waits until the peer has taken all that was sent, but for the MiB or quarter of
// the window that it need not acknowledge.
func (l *Link) Taken() error {
	for l.taken+min(1<<20, l.Window/4) <= l.sent {
		if err := l.step(); err != nil {
			return err
		}
	}
	return nil
}

// Get reads the next frame within the transfer of the peer, and acknowledges what
// arrives. At the end of the transfer it returns io.EOF.
func (l *Link) Get() (Frame, error) {
	for {
		b := l.inner.Bytes()
		if len(b) >= 5 && len(b)-5 >= int(binary.BigEndian.Uint32(b)) {
			return readFrame(&l.inner)
		}
		if err := l.step(); err != nil {
			return Frame{}, err
		}
	}
}

// Await reads frames within the transfer of the peer until one has the type.
func (l *Link) Await(kind byte) (Frame, error) {
	for {
		if f, err := l.Get(); err != nil || f.Type == kind {
			return f, err
		}
	}
}

// step reads one frame of the link.
func (l *Link) step() error {
	f, err := l.Receive()
	if err != nil {
		return err
	}
	switch f.Type {
	case FileAck:
		l.noteAck(f)
	case FileChunk:
		l.inner.Write(f.Body[8:])
		_, _ = l.gotDigest.Write(f.Body[8:])
		l.got += uint64(len(f.Body) - 8)
		return l.Send(JSON(FileAck, `{"transfer":%q,"bytes":%d}`, l.Transfer, l.got))
	case FileDone:
		return errors.Join(io.EOF, l.Send(JSON(FileAck, `{"transfer":%q,"bytes":%d,"final":true,"blake3":%q}`, l.Transfer, l.got, hex.EncodeToString(l.gotDigest.Sum(nil)))))
	}
	return nil
}

// noteAck remembers a FILE_ACK for what the attacker sent.
func (l *Link) noteAck(f Frame) {
	_, _ = fmt.Sscan(f.Text("bytes"), &l.taken)
	l.acked = l.acked || f.Text("final") == "true"
}

// Ended reads until the peer closes the connection, and returns the status in its close.
func (l *Link) Ended() int {
	for {
		if _, err := l.Receive(); err != nil {
			return Status(err)
		}
	}
}

// Digest returns the BLAKE3 of data in hexadecimal.
func Digest(data []byte) string {
	sum := blake3.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Finish waits for the final FILE_ACK, ends the stream, as a listener does that needs
// nothing more, and reads until the dialer closes the connection.
func (l *Link) Finish() {
	for !l.acked {
		f, err := l.Receive()
		if err != nil {
			return
		}
		if f.Type == FileAck {
			l.noteAck(f)
		}
	}
	switch s := l.ReadWriter.(type) {
	case *blocks:
		_ = s.control(0)
	case io.Closer: // a QUIC stream
		_ = s.Close()
	}
	l.Ended()
}
