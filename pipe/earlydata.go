package pipe

import (
	"errors"
	"io"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// earlyData is the start of a source that is sent along with P2P_HELLO, before
// the listener has accepted.
type earlyData struct {
	data []byte
	eof  bool
	err  error // of the source, behind data
}

// EarlyData returns the first frames of the source's transfer: FILE_META, and, as
// far as the source has it ready, up to [proto.MaxFirstBytes] of data and
// FILE_DONE. Only the first call reads the source, and it does not block. It is
// called for each connection attempt, before [Exchange].
func (s *Source) EarlyData(id wire.TransferID) []byte {
	if s.early == nil {
		s.early = &earlyData{}
		s.early.readFrom(s)
	}
	e := s.early
	out := wire.AppendFrame(nil, &wire.Meta{Transfer: id, Kind: wire.KindPipe})
	if len(e.data) > 0 {
		out = append(wire.AppendChunkPrefix(out, 0, len(e.data)), e.data...)
	}
	if e.eof {
		out = wire.AppendFrame(out, &wire.Done{Transfer: id, Bytes: int64(len(e.data)), Digest: digest.Sum(e.data)})
	}
	return out
}

// readFrom reads what the source has ready.
func (e *earlyData) readFrom(s *Source) {
	if s.Ready == nil || s.Status != nil { // a producer's status is known only after its end
		return
	}
	buf := make([]byte, proto.MaxFirstBytes)
	for len(e.data) < len(buf) && !e.eof && e.err == nil && s.Ready() {
		n, err := s.Read(buf[len(e.data):])
		e.data = buf[:len(e.data)+n]
		e.eof = errors.Is(err, io.EOF)
		if err != nil && !e.eof {
			e.err = readError(err)
		}
	}
}
