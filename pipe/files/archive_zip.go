package files

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"encoding/binary"
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
	h := &zip.FileHeader{Name: archiveName(e), Method: zip.Deflate}
	mode := modeOf(e)
	switch e.Kind {
	case wire.EntryFolder:
		mode |= os.ModeDir
	case wire.EntrySymlink:
		mode = os.ModeSymlink | 0o777
	}
	h.SetMode(mode)
	setZipTime(h, time.Unix(0, e.Mtime).UTC())
	w, err := z.zip.CreateHeader(h)
	if err == nil && e.Kind == wire.EntrySymlink {
		_, err = io.WriteString(w, e.Target)
	}
	return w, err
}

// setZipTime gives an entry its time: in seconds since 1970, as Info-ZIP does,
// and as MS-DOS has it, for others. What neither can say becomes the nearest that
// they can.
func setZipTime(h *zip.FileHeader, t time.Time) {
	seconds := uint32(min(max(t.Unix(), 0), math.MaxInt32))
	h.Extra = append(h.Extra, 'U', 'T', 5, 0, 1)
	h.Extra = binary.LittleEndian.AppendUint32(h.Extra, seconds)
	switch {
	case t.Year() < 1980:
		t = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 2107:
		t = time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)
	}
	h.ModifiedDate = uint16(t.Day() + int(t.Month())<<5 + (t.Year()-1980)<<9)
	h.ModifiedTime = uint16(t.Second()/2 + t.Minute()<<5 + t.Hour()<<11)
}

func (z *zipWriter) end() error {
	if err := z.zip.Close(); err != nil {
		return err
	}
	return z.out.Flush()
}
