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
	// codeFirst is the lowest code of a closing.
	codeFirst = 0x100
)

// ErrBlock says that the peer sent what is no block.
var ErrBlock = errors.New("malformed block")

// CloseError is the error of a connection that the peer has closed.
type CloseError struct{ Code uint64 }

func (e *CloseError) Error() string { return fmt.Sprintf("closed by the peer with %#x", e.Code) }

// blockReader reads the stream out of the blocks that r brings. Its errors
// stay: [io.EOF] at the end of the stream, [io.ErrUnexpectedEOF] where r ends
// without one, a [*CloseError], [ErrBlock], or an error of r.
type blockReader struct {
	r    io.Reader
	left int // of the current block
	err  error
}

func (b *blockReader) Read(p []byte) (int, error) {
	for b.left == 0 && b.err == nil {
		b.left, b.err = b.next()
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	if n == 0 && err != nil {
		b.err = unexpected(err)
	}
	return n, b.err
}

// next reads the head of a block, and returns how many bytes of the stream
// follow.
func (b *blockReader) next() (int, error) {
	n, err := b.word()
	switch {
	case err != nil:
		return 0, err
	case n > proto.MaxBlockBytes:
		return 0, ErrBlock
	case n > 0:
		return int(n), nil
	}
	code, err := b.word()
	switch {
	case err != nil || code == codeAlive:
		return 0, err
	case code == codeEnd:
		return 0, io.EOF
	case code >= codeFirst:
		return 0, &CloseError{uint64(code)}
	}
	return 0, ErrBlock
}

func (b *blockReader) word() (uint32, error) {
	var w [4]byte
	if _, err := io.ReadFull(b.r, w[:]); err != nil {
		return 0, unexpected(err)
	}
	return binary.BigEndian.Uint32(w[:]), nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
