package tcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"mesh/proto"
)

const (
	codeEnd   = 0
	codeAlive = 1
	// minCloseCode is the lowest code that closes the connection.
	minCloseCode = 0x100
)

// ErrBlock reports that the peer sent a block that is not valid.
var ErrBlock = errors.New("malformed block")

// CloseError is the error of a connection that the peer has closed.
type CloseError struct{ Code uint64 }

func (e *CloseError) Error() string { return fmt.Sprintf("closed by the peer with %#x", e.Code) }

// blockReader reads the stream from the blocks in r. Once it has returned an error
// it returns the same one for ever: [io.EOF] at the end of the stream,
// [io.ErrUnexpectedEOF] if r ends before it, a [*CloseError], [ErrBlock], or an
// error of r.
type blockReader struct {
	r    io.Reader
	left int // bytes of the current block that are not yet read
	err  error
}

func (b *blockReader) Read(p []byte) (int, error) {
	for b.left == 0 && b.err == nil {
		b.left, b.err = b.readHeader()
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	if n == 0 && err != nil {
		b.err = noEOF(err)
	}
	return n, b.err
}

// readHeader reads the header of a block and returns how many bytes of the stream
// follow it.
func (b *blockReader) readHeader() (int, error) {
	n, err := b.readUint32()
	switch {
	case err != nil:
		return 0, err
	case n > proto.MaxBlockBytes:
		return 0, ErrBlock
	case n > 0:
		return int(n), nil
	}
	code, err := b.readUint32()
	switch {
	case err != nil || code == codeAlive:
		return 0, err
	case code == codeEnd:
		return 0, io.EOF
	case code >= minCloseCode:
		return 0, &CloseError{uint64(code)}
	}
	return 0, ErrBlock
}

func (b *blockReader) readUint32() (uint32, error) {
	var w [4]byte
	if _, err := io.ReadFull(b.r, w[:]); err != nil {
		return 0, noEOF(err)
	}
	return binary.BigEndian.Uint32(w[:]), nil
}

// noEOF turns an [io.EOF] within a block into an [io.ErrUnexpectedEOF].
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
