package archive

import (
	"archive/tar"
	"io"
	"time"

	"mesh/proto/wire"
)

// blockBytes is the size of the blocks of a tar.
const blockBytes = 512

// tarWriter writes a tar that no reader takes for whole before its end. To GNU tar,
// a tar that ends between two entries, or in the header of one, is whole. So what
// was written so far must always end in the middle of a content: tarWriter holds
// back what follows the last but one byte of the last content.
type tarWriter struct {
	out *delayedWriter
	tar *tar.Writer
}

func newTar(w io.Writer) *tarWriter {
	out := &delayedWriter{w: w}
	return &tarWriter{out, tar.NewWriter(out)}
}

// Begin implements [Writer].
func (t *tarWriter) Begin(e *wire.Entry) (io.Writer, error) {
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: memberName(e), Linkname: e.Target, Size: e.Size, Mode: int64(e.Mode),
		ModTime: time.Unix(0, e.Mtime), Format: tar.FormatPAX,
	}
	switch e.Kind {
	case wire.EntryFolder:
		h.Typeflag = tar.TypeDir
	case wire.EntrySymlink:
		h.Typeflag = tar.TypeSymlink
	}
	// Many entries in a row may have no content. Then what is written ends in an
	// extended header (PAX), which has content of its own: the comment makes one.
	full := t.out.delayedBytes() > maxDelayedBytes
	at := 0
	if full {
		if err := t.tar.Flush(); err != nil { // pads the last block
			return nil, err
		}
		at = t.out.delayedBytes()
		h.PAXRecords = map[string]string{"comment": "goes on"}
	}
	if err := t.tar.WriteHeader(h); err != nil {
		return nil, err
	}
	if full {
		return t, t.out.release(at + blockBytes + 1)
	}
	return t, nil
}

// Write writes content of the last entry.
func (t *tarWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := t.tar.Write(p)
	if err == nil {
		err = t.out.release(t.out.delayedBytes() - 1)
	}
	return n, err
}

// End implements [Writer].
func (t *tarWriter) End() error {
	if err := t.tar.Close(); err != nil {
		return err
	}
	_, err := t.out.w.Write(t.out.buf)
	return err
}

// maxDelayedBytes is how much may be held back before an extended header is needed.
const maxDelayedBytes = 1 << 20

// delayedWriter holds back what is written until it is released.
type delayedWriter struct {
	w   io.Writer
	buf []byte
}

// Write implements [io.Writer].
func (d *delayedWriter) Write(p []byte) (int, error) {
	d.buf = append(d.buf, p...)
	return len(p), nil
}

func (d *delayedWriter) delayedBytes() int { return len(d.buf) }

// release allows the first n bytes that are held back to be written. It writes them
// once they are many.
func (d *delayedWriter) release(n int) error {
	if n < bufferBytes {
		return nil
	}
	if _, err := d.w.Write(d.buf[:n]); err != nil {
		return err
	}
	d.buf = d.buf[:copy(d.buf, d.buf[n:])]
	return nil
}
