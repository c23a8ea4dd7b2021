package wire_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"mesh/proto"
	"mesh/proto/wire"
)

func TestReadForeignFrame(t *testing.T) {
	t.Parallel()
	const most = 4
	for _, size := range []int{0, 1, most - 1, most, most + 1} {
		sent := append(wire.AppendHeader(nil, wire.Header{Type: 'x', Bytes: size}), make([]byte, size)...)
		r := bytes.NewReader(sent)
		typ, body, err := wire.ReadForeignFrame(r, most)
		switch {
		case size > most:
			if proto.CodeOf(err) != proto.Protocol {
				t.Errorf("%d bytes: got %v, want %v", size, err, proto.Protocol)
			}
			continue
		case err != nil || typ != 'x' || len(body) != size:
			t.Errorf("%d bytes: got type %v, %d bytes, %v", size, typ, len(body), err)
		}
		if _, _, err := wire.ReadForeignFrame(r, most); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes: got %v between two frames, want %v", size, err, io.EOF)
		}
		for cut := 1; cut < len(sent); cut++ {
			if _, _, err := wire.ReadForeignFrame(bytes.NewReader(sent[:cut]), most); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes, cut to %d: got %v, want %v", size, cut, err, io.ErrUnexpectedEOF)
			}
		}
	}
}
