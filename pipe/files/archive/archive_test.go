package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"mesh/pipe/files/archive"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// entry is an entry and the content of its file.
type entry struct {
	wire.Entry
	data string
}

// writeEntries writes an archive, and ends it if end is set.
func writeEntries(t *testing.T, format string, end bool, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := archive.NewWriter(format, &out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		into, err := w.Begin(&e.Entry)
		if err != nil {
			t.Fatal(err)
		}
		if e.data != "" {
			if _, err := io.WriteString(into, e.data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if end {
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func someEntries() []entry {
	file := func(path, data string, mode int) entry {
		return entry{wire.Entry{Path: path, Kind: wire.EntryFile, Size: int64(len(data)), Mode: mode, Mtime: 1234567890e9}, data}
	}
	return []entry{
		{wire.Entry{Path: "d", Kind: wire.EntryFolder, Mode: 0o750, Mtime: 1e18}, ""},
		file("d/empty", "", 0o644),
		file("d/run", "#!", 0o755),
		{wire.Entry{Path: "d/x", Kind: wire.EntrySymlink, Target: "run"}, ""},
		file("e", string(xtest.Random(100_000)), 0o600),
	}
}

// The same entries make the same bytes, and an archive without its end is none.
func TestWriter(t *testing.T) {
	t.Parallel()
	read := map[string]func([]byte) (int, error){archive.Zip: readZip, archive.Tar: readTar}
	for format, read := range read {
		whole := writeEntries(t, format, true, someEntries()...)
		if !bytes.Equal(whole, writeEntries(t, format, true, someEntries()...)) {
			t.Errorf("%s: got other bytes the second time", format)
		}
		if n, err := read(whole); n != 5 || err != nil {
			t.Errorf("%s: got %d members, %v, want 5", format, n, err)
		}
		if _, err := read(writeEntries(t, format, false, someEntries()...)); err == nil {
			t.Errorf("%s: it can be read without its end", format)
		}
	}
	_, err := archive.NewWriter("rar", io.Discard)
	xtest.WantCode(t, "a format that is not known", err, proto.Usage)
}

// readZip counts the members of a zip, and checks their content.
func readZip(b []byte) (int, error) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return 0, err
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return 0, err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return 0, err
		}
	}
	return len(z.File), nil
}

// readTar counts the members of a tar.
func readTar(b []byte) (n int, err error) {
	for t := tar.NewReader(bytes.NewReader(b)); ; n++ {
		if _, err := t.Next(); errors.Is(err, io.EOF) && len(b) > 0 {
			return n, nil
		} else if err != nil {
			return n, err
		}
		if _, err := io.Copy(io.Discard, t); err != nil {
			return n, err
		}
	}
}

// Times that no zip can hold become the nearest one that it can.
func TestZipTimes(t *testing.T) {
	t.Parallel()
	for mtime, want := range map[time.Time]string{
		time.Unix(0, 0):                      "1980-01-01T00:00:00Z",
		time.Unix(-1<<32, 0):                 "1980-01-01T00:00:00Z",
		time.Unix(1234567890, 5):             "2009-02-13T23:31:30Z",
		time.Unix(1<<32, 0):                  "2106-02-07T06:28:15Z",
		time.Unix(0, math.MaxInt64).Round(1): "2106-02-07T06:28:15Z",
	} {
		b := writeEntries(t, archive.Zip, true, entry{Entry: wire.Entry{Path: "a", Kind: wire.EntryFolder, Mode: 0o755, Mtime: mtime.UnixNano()}})
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if got := z.File[0].Modified.UTC().Format(time.RFC3339); got != want {
			t.Errorf("%v: got %s, want %s", mtime, got, want)
		}
	}
}
