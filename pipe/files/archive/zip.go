package archive

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"io"
	"math"
	"os"
	"time"

	"mesh/proto/wire"
)

// zipWriter writes a zip. Its directory stands at its end, so without that it is no
// zip to any reader.
type zipWriter struct {
	out *bufio.Writer
	zip *zip.Writer
}

func newZip(w io.Writer) *zipWriter {
	out := bufio.NewWriterSize(w, bufferBytes)
	z := &zipWriter{out, zip.NewWriter(out)}
	var f *flate.Writer // one for all members: they are written one after the other
	z.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (_ io.WriteCloser, err error) {
		if f == nil {
			f, err = flate.NewWriter(w, flate.BestSpeed)
		} else {
			f.Reset(w)
		}
		return f, err
	})
	return z
}

// Begin implements [Writer].
func (z *zipWriter) Begin(e *wire.Entry) (io.Writer, error) {
	h := &zip.FileHeader{Name: memberName(e), Method: zip.Deflate, Modified: zipTime(time.Unix(0, e.Mtime))}
	mode := os.FileMode(e.Mode) & 0o777
	switch e.Kind {
	case wire.EntryFolder:
		mode |= os.ModeDir
	case wire.EntrySymlink:
		mode = os.ModeSymlink | 0o777
	}
	h.SetMode(mode)
	w, err := z.zip.CreateHeader(h)
	if err == nil && e.Kind == wire.EntrySymlink {
		_, err = io.WriteString(w, e.Target)
	}
	return w, err
}

// zipTime returns the nearest time that a zip can hold.
func zipTime(t time.Time) time.Time {
	first, last := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(math.MaxUint32, 0)
	switch {
	case t.Before(first):
		return first
	case t.After(last):
		return last.UTC()
	}
	return t.UTC()
}

// End implements [Writer].
func (z *zipWriter) End() error {
	if err := z.zip.Close(); err != nil {
		return err
	}
	return z.out.Flush()
}
