package tcp

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"mesh/proto"
)

func TestBlocks(t *testing.T) {
	t.Parallel()
	full := append([]byte{0, 0x10, 0, 0}, make([]byte, proto.MaxBlockBytes)...)
	for _, c := range []struct {
		name string
		in   []byte
		want string
		err  error // io.EOF for a stream that ends
	}{
		{"nothing", nil, "", io.ErrUnexpectedEOF},
		{"end", []byte("\x00\x00\x00\x00\x00\x00\x00\x00"), "", io.EOF},
		{"two blocks", []byte("\x00\x00\x00\x02ab\x00\x00\x00\x01c\x00\x00\x00\x00\x00\x00\x00\x00"), "abc", io.EOF},
		{"alive between", []byte("\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01c\x00\x00\x00\x00\x00\x00\x00\x00"), "c", io.EOF},
		{"behind the end", []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01c"), "", io.EOF},
		{"short", []byte("\x00\x00\x00\x02a"), "a", io.ErrUnexpectedEOF},
		{"half a head", []byte("\x00\x00\x00\x01a\x00\x00"), "a", io.ErrUnexpectedEOF},
		{"half a code", []byte("\x00\x00\x00\x00\x00"), "", io.ErrUnexpectedEOF},
		{"too long", []byte("\x00\x10\x00\x01abc"), "", ErrBlock},
		{"4 GiB", []byte("\xff\xff\xff\xffabc"), "", ErrBlock},
		{"no such code", []byte("\x00\x00\x00\x00\x00\x00\x00\xff"), "", ErrBlock},
		{"longest", append(full, 0, 0, 0, 0, 0, 0, 0, 0), string(full[4:]), io.EOF},
	} {
		for _, r := range []io.Reader{bytes.NewReader(c.in), iotest.OneByteReader(bytes.NewReader(c.in))} {
			b := &blockReader{r: r}
			got, err := io.ReadAll(b)
			if err == nil {
				err = io.EOF
			}
			if string(got) != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s: got %d bytes and %v, want %d and %v", c.name, len(got), err, len(c.want), c.err)
			}
			if _, again := b.Read(make([]byte, 1)); !errors.Is(again, c.err) {
				t.Errorf("%s: read again: got %v, want %v", c.name, again, c.err)
			}
		}
	}
	closed, ok := errors.AsType[*CloseError](readAll(&blockReader{r: bytes.NewReader([]byte("\x00\x00\x00\x00\x00\x00\x4d\x14"))}))
	if !ok || closed.Code != 0x4d14 {
		t.Errorf("closing: got %v, want 0x4d14", closed)
	}
}

func readAll(r io.Reader) error {
	_, err := io.ReadAll(r)
	return err
}

// For any input, the reader returns no more bytes than went in, and an end of the
// stream only if there is a block for it.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x4d\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		b := &blockReader{r: bytes.NewReader(in)}
		got, err := io.ReadAll(b)
		if len(got) > len(in) {
			t.Errorf("got %d bytes of %d", len(got), len(in))
		}
		if err == nil && !bytes.Contains(in, make([]byte, 8)) {
			t.Errorf("the stream ended without a block that ends it")
		}
	})
}
