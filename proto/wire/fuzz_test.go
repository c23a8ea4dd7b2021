package wire_test

import (
	"encoding/binary"
	"testing"

	"mesh/proto"
	"mesh/proto/wire"
)

func FuzzParseChunkOffset(f *testing.F) {
	f.Add(make([]byte, proto.ChunkHeaderBytes), proto.ChunkHeaderBytes+1)
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, proto.ChunkHeaderBytes+1)
	f.Add([]byte{0xff}, -1)
	f.Fuzz(func(t *testing.T, b []byte, bodyBytes int) {
		offset, n, err := wire.ParseChunkOffset(b, bodyBytes)
		if err != nil {
			if got := proto.CodeOf(err); got != proto.Protocol {
				t.Errorf("got %v (%v), want %v", got, err, proto.Protocol)
			}
			return
		}
		if offset < 0 || n < 1 || n > proto.MaxChunkBytes || offset+int64(n) < 0 {
			t.Fatalf("got %d bytes at %d, want them in range", n, offset)
		}
		again := wire.AppendChunkPrefix(nil, offset, n)
		if got, want := binary.BigEndian.Uint64(again[proto.FrameHeaderBytes:]), binary.BigEndian.Uint64(b); got != want {
			t.Errorf("got offset %d again, want %d", got, want)
		}
		if h, err := wire.ParseHeader(again[:proto.FrameHeaderBytes]); err != nil || h.Bytes != bodyBytes {
			t.Errorf("got a body of %d bytes again (%v), want %d", h.Bytes, err, bodyBytes)
		}
	})
}
