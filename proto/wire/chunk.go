package wire

import (
	"encoding/binary"

	"mesh/proto"
)

// AppendChunkPrefix appends a FILE_CHUNK frame without its data, which has n bytes,
// 1 to [proto.MaxChunkBytes], at the given offset of the transfer.
func AppendChunkPrefix(dst []byte, offset int64, n int) []byte {
	if offset < 0 || n < 1 || n > proto.MaxChunkBytes {
		panic("wire: internal error: chunk out of range")
	}
	dst = AppendHeader(dst, Header{TypeChunk, proto.ChunkHeaderBytes + n})
	return binary.BigEndian.AppendUint64(dst, uint64(offset))
}

// ParseChunkOffset parses the first [proto.ChunkHeaderBytes] of the body of a
// FILE_CHUNK, which has bodyBytes in all. It returns the offset and the number of
// data bytes that follow. A chunk without data, and one that ends beyond
// [proto.MaxTransferBytes], are errors.
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
