// Package wire encodes the messages of the protocol and decodes them. It does no
// I/O except to read whole frames. Every decoder is strict, since each message has
// one valid encoding, and checks lengths before it allocates.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"mesh/proto"
)

// Type is the type of a frame.
type Type uint8

// The frame types of links and transfers. Package proto says which end sends which
// of them, and when.
const (
	TypeHello  Type = 0x01
	TypeOK     Type = 0x02
	TypeDeny   Type = 0x03
	TypeMeta   Type = 0x10
	TypeResume Type = 0x11
	TypeChunk  Type = 0x12
	TypeDone   Type = 0x13
	TypeAck    Type = 0x14
)

// types has the name of every frame type and the size of its largest body.
var types = map[Type]struct {
	name     string
	maxBytes uint32
}{
	TypeHello:  {"P2P_HELLO", proto.MaxHandshakeFrameBytes},
	TypeOK:     {"P2P_OK", proto.MaxHandshakeFrameBytes},
	TypeDeny:   {"P2P_DENY", proto.MaxHandshakeFrameBytes},
	TypeMeta:   {"FILE_META", proto.MaxControlFrameBytes},
	TypeResume: {"FILE_RESUME", proto.MaxControlFrameBytes},
	TypeChunk:  {"FILE_CHUNK", proto.ChunkHeaderBytes + proto.MaxChunkBytes},
	TypeDone:   {"FILE_DONE", proto.MaxControlFrameBytes},
	TypeAck:    {"FILE_ACK", proto.MaxControlFrameBytes},

	TypeEntry:   {"FILES_ENTRY", proto.MaxControlFrameBytes},
	TypeFrom:    {"FILES_FROM", proto.MaxControlFrameBytes},
	TypeData:    {"FILES_DATA", proto.MaxChunkBytes},
	TypeEnd:     {"FILES_END", proto.MaxControlFrameBytes},
	TypeTotal:   {"FILES_TOTAL", proto.MaxControlFrameBytes},
	TypeAnswer:  {"FILES_ANSWER", proto.MaxControlFrameBytes},
	TypeRefused: {"FILES_REFUSED", proto.MaxControlFrameBytes},
	TypeStored:  {"FILES_STORED", proto.MaxControlFrameBytes},
	TypeHole:    {"FILES_HOLE", proto.MaxControlFrameBytes},
	TypeListed:  {"FILES_LISTED", proto.MaxControlFrameBytes},
	TypeSum:     {"FILES_SUM", proto.MaxControlFrameBytes},
	TypeCount:   {"FILES_COUNT", proto.MaxControlFrameBytes},
	TypeTake:    {"FILES_TAKE", proto.MaxControlFrameBytes},

	TypeTermOpen:     {"TERM_OPEN", proto.MaxTermControlBytes},
	TypeTermIn:       {"TERM_IN", proto.MaxTermInBytes},
	TypeTermAck:      {"TERM_ACK", proto.MaxTermControlBytes},
	TypeTermSession:  {"TERM_SESSION", proto.MaxTermControlBytes},
	TypeTermOut:      {"TERM_OUT", proto.TermOutHeaderBytes + proto.MaxTermOutBytes},
	TypeTermSnapshot: {"TERM_SNAPSHOT", proto.TermSnapshotHeaderBytes + proto.MaxTermSnapshotBytes},
	TypeTermResize:   {"TERM_RESIZE", proto.MaxTermControlBytes},
	TypeTermMark:     {"TERM_MARK", proto.MaxTermControlBytes},
	TypeTermCtl:      {"TERM_CTL", proto.MaxTermControlBytes},
	TypeTermExit:     {"TERM_EXIT", proto.MaxTermControlBytes},
	TypeTermIdle:     {"TERM_IDLE", proto.MaxTermControlBytes},

	TypePairName:   {"PAIR_NAME", proto.MaxPairFrameBytes},
	TypePairAgreed: {"PAIR_AGREED", proto.MaxPairFrameBytes},
	TypePairStored: {"PAIR_STORED", proto.MaxPairFrameBytes},
}

// String returns the name that mesh-protocol(7) uses.
func (t Type) String() string {
	if info, ok := types[t]; ok {
		return info.name
	}
	return fmt.Sprintf("frame type 0x%02x", uint8(t))
}

// Header is the header of a frame, which stands before its body.
type Header struct {
	Type  Type
	Bytes int // of the body
}

// AppendHeader appends the header to dst.
func AppendHeader(dst []byte, h Header) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Bytes))
	return append(dst, byte(h.Type))
}

// ParseHeader parses a header, which has exactly [proto.FrameHeaderBytes]. An
// unknown type, and a body larger than the type's limit, are errors.
func ParseHeader(b []byte) (Header, error) {
	if len(b) != proto.FrameHeaderBytes {
		return Header{}, malformed("frame header of %d bytes", len(b))
	}
	t := Type(b[4])
	info, ok := types[t]
	if !ok {
		return Header{}, malformed("unknown %s", t)
	}
	n := binary.BigEndian.Uint32(b)
	if n > info.maxBytes {
		return Header{}, malformed("%s of %d bytes, want at most %d", t, n, info.maxBytes)
	}
	return Header{Type: t, Bytes: int(n)}, nil
}

// ReadHeader reads the next frame's header. If the stream ends between two frames
// the error is [io.EOF], if it ends within a header [io.ErrUnexpectedEOF].
func ReadHeader(r io.Reader) (Header, error) {
	var b [proto.FrameHeaderBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Header{}, err
	}
	return ParseHeader(b[:])
}

// ReadFrame reads a whole frame, which must be of one of the given types. The body
// is not larger than the type's limit.
func ReadFrame(r io.Reader, want ...Type) (Type, []byte, error) {
	h, err := ReadHeader(r)
	if err != nil {
		return 0, nil, err
	}
	if err := h.Expect(want...); err != nil {
		return 0, nil, err
	}
	body := make([]byte, h.Bytes)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, noEOF(err)
	}
	return h.Type, body, nil
}

// ReadForeignFrame reads a whole frame of another protocol that has the same header:
// of any type, with a body of at most maxBytes. Its errors are those of [ReadFrame].
func ReadForeignFrame(r io.Reader, maxBytes int) (Type, []byte, error) {
	var b [proto.FrameHeaderBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(b[:])
	if uint64(n) > uint64(maxBytes) {
		return 0, nil, malformed("a frame of %d bytes, at most %d are allowed", n, maxBytes)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, noEOF(err)
	}
	return Type(b[len(b)-1]), body, nil
}

// Expect returns an error unless the frame is of one of the given types.
func (h Header) Expect(want ...Type) error {
	if slices.Contains(want, h.Type) {
		return nil
	}
	return malformed("%s out of order", h.Type)
}

// noEOF turns an [io.EOF] within a frame into an [io.ErrUnexpectedEOF].
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// malformed returns an error with code [proto.Protocol].
func malformed(format string, args ...any) error {
	return proto.Errorf(proto.Protocol, format, args...)
}
