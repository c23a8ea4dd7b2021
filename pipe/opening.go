package pipe

import (
	"errors"
	"fmt"
	"io"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// opening is what a transfer begins with before the peer has let us in.
type opening struct {
	data []byte
	eof  bool
	err  error // of the source, behind data
}

// First returns the frames that a transfer of the source begins with:
// FILE_META, and as far as the source has it ready, up to
// [proto.MaxFirstBytes] of data and FILE_DONE. It does not block. It is called
// before [Exchange], for each connection that is tried, and reads the source the
// first time.
func (s *Source) First(id wire.TransferID) []byte {
	if s.opening == nil {
		s.opening = &opening{}
		s.opening.read(s)
	}
	f := s.opening
	out := wire.AppendFrame(nil, &wire.Meta{Transfer: id, Kind: wire.KindPipe})
	if len(f.data) > 0 {
		out = append(wire.AppendChunkPrefix(out, 0, len(f.data)), f.data...)
	}
	if f.eof {
		out = wire.AppendFrame(out, &wire.Done{Transfer: id, Bytes: int64(len(f.data)), Digest: digest.Sum(f.data)})
	}
	return out
}

// read takes from the source what is ready.
func (f *opening) read(s *Source) {
	if s.Ready == nil || s.Status != nil { // a producer's status comes behind its end
		return
	}
	buf := make([]byte, proto.MaxFirstBytes)
	for len(f.data) < len(buf) && !f.eof && f.err == nil && s.Ready() {
		n, err := s.Read(buf[len(f.data):])
		f.data = buf[:len(f.data)+n]
		f.eof = errors.Is(err, io.EOF)
		if err != nil && !f.eof {
			f.err = fmt.Errorf("read input: %w", proto.IOError(err))
		}
	}
}
