package files

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

// zipWriter writes a zip archive. What it holds stands in its end, so without
// that it is none.
type zipWriter struct {
	out *bufio.Writer
	zip *zip.Writer
}

func newZip(w io.Writer) *zipWriter {
	out := bufio.NewWriterSize(w, bufferBytes)
	z := &zipWriter{out, zip.NewWriter(out)}
	var f *flate.Writer // one for all, since they follow each other
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

func (z *zipWriter) begin(e *wire.Entry) (io.Writer, error) {
	h := &zip.FileHeader{Name: archiveName(e), Method: zip.Deflate, Modified: zipTime(time.Unix(0, e.Mtime))}
	mode := modeOf(e)
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

// zipTime is the nearest time that a zip can say.
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

func (z *zipWriter) end() error {
	if err := z.zip.Close(); err != nil {
		return err
	}
	return z.out.Flush()
}
