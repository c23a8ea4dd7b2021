package wire

import (
	"encoding/binary"

	"mesh/proto"
)

// AppendChunkPrefix appends all of a FILE_CHUNK frame but its data, of which
// there are n bytes, 1 to [proto.MaxChunkBytes], at the given offset.
func AppendChunkPrefix(dst []byte, offset int64, n int) []byte {
	if offset < 0 || n < 1 || n > proto.MaxChunkBytes {
		panic("wire: internal error: chunk out of range")
	}
	dst = AppendHeader(dst, Header{TypeChunk, proto.ChunkHeaderBytes + n})
	return binary.BigEndian.AppendUint64(dst, uint64(offset))
}

// ParseChunkOffset reads the offset of a FILE_CHUNK whose body has bodyBytes in
// all, from the body's first [proto.ChunkHeaderBytes], and returns it with the
// number of data bytes that follow. A chunk without data, or that ends beyond
// [proto.MaxTransferBytes], is an error.
func ParseChunkOffset(b []byte, bodyBytes int) (offset int64, n int, err error) {
	n = bodyBytes - proto.ChunkHeaderBytes
	if len(b) != proto.ChunkHeaderBytes || n < 1 || n > proto.MaxChunkBytes {
		return 0, 0, malformed("%s of %d bytes", TypeChunk, bodyBytes)
	}
	u := binary.BigEndian.Uint64(b)
	if u > proto.MaxTransferBytes-uint64(n) {
		return 0, 0, malformed("%s beyond the largest offset", TypeChunk)
	}
	return int64(u), n, nil
}
