package files

import (
	"archive/tar"
	"io"
	"time"

	"mesh/proto/wire"
)

// tarWriter writes a tar archive that no reader takes for whole before its end.
// A tar that ends between two entries, or within the header of one, is whole to
// GNU tar; so what is written ends within what a file holds, at any time.
type tarWriter struct {
	out *lagWriter
	tar *tar.Writer
}

func newTar(w io.Writer) *tarWriter {
	out := &lagWriter{w: w}
	return &tarWriter{out, tar.NewWriter(out)}
}

func (t *tarWriter) begin(e *wire.Entry) (io.Writer, error) {
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: archiveName(e), Linkname: e.Target, Size: e.Size, Mode: int64(e.Mode),
		ModTime: time.Unix(0, e.Mtime), Format: tar.FormatPAX,
	}
	switch e.Kind {
	case wire.EntryFolder:
		h.Typeflag = tar.TypeDir
	case wire.EntrySymlink:
		h.Typeflag = tar.TypeSymlink
	}
	// With too many entries that hold nothing in a row, it ends within a header
	// that holds something itself.
	full := t.out.held() > maxLagBytes
	at := 0
	if full {
		if err := t.tar.Flush(); err != nil { // what fills the last block up
			return nil, err
		}
		at = t.out.held()
		h.PAXRecords = map[string]string{"comment": "goes on"}
	}
	if err := t.tar.WriteHeader(h); err != nil {
		return nil, err
	}
	if full {
		return t, t.out.release(at + tarBlockBytes + 1)
	}
	return t, nil
}

// Write writes what a file holds.
func (t *tarWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := t.tar.Write(p)
	if err == nil {
		err = t.out.release(t.out.held() - 1)
	}
	return n, err
}

func (t *tarWriter) end() error {
	if err := t.tar.Close(); err != nil {
		return err
	}
	_, err := t.out.w.Write(t.out.buf)
	return err
}

// maxLagBytes is how much may be held back before something is done about it.
const maxLagBytes = 1 << 20

// lagWriter holds back what is written until it is released.
type lagWriter struct {
	w    io.Writer
	buf  []byte
	free int // of buf, released
}

func (l *lagWriter) Write(p []byte) (int, error) {
	l.buf = append(l.buf, p...)
	return len(p), nil
}

func (l *lagWriter) held() int { return len(l.buf) }

// release lets the first n bytes go that are held, and writes them when they are
// many.
func (l *lagWriter) release(n int) error {
	l.free = n
	if n < bufferBytes {
		return nil
	}
	if _, err := l.w.Write(l.buf[:n]); err != nil {
		return err
	}
	l.buf = l.buf[:copy(l.buf, l.buf[n:])]
	l.free = 0
	return nil
}
