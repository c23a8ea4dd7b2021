// Package archive writes zip and tar archives entry by entry, as the entries of a
// transfer arrive.
package archive

import (
	"io"

	"mesh/proto"
	"mesh/proto/wire"
)

// The formats of archives.
const (
	Zip = "zip"
	Tar = "tar"
)

// bufferBytes is about how much is collected before it is written.
const bufferBytes = 128 << 10

// Writer writes an archive. For the same entries it writes the same bytes.
type Writer interface {
	// Begin adds an entry. The content of a file is written to the writer that it
	// returns, before the next call.
	Begin(*wire.Entry) (io.Writer, error)
	// End completes the archive. Without it, no reader takes what was written for a
	// whole archive.
	End() error
}

// NewWriter returns a writer of an archive in a format.
func NewWriter(format string, w io.Writer) (Writer, error) {
	switch format {
	case Zip:
		return newZip(w), nil
	case Tar:
		return newTar(w), nil
	}
	return nil, proto.Errorf(proto.Usage, "no archive format is called %q, only %s and %s are known", format, Zip, Tar)
}

// memberName returns the name of an entry in an archive.
func memberName(e *wire.Entry) string {
	if e.Kind == wire.EntryFolder {
		return e.Path + "/"
	}
	return e.Path
}
