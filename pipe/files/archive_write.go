package files

import (
	"io"

	"mesh/proto"
	"mesh/proto/wire"
)

// The kinds of archives.
const (
	Zip = "zip"
	Tar = "tar"
)

// archiveWriter writes an archive, the same bytes for the same entries.
type archiveWriter interface {
	// begin adds an entry. What a file holds is written to it, up to the next
	// call.
	begin(*wire.Entry) (io.Writer, error)
	// end completes the archive.
	end() error
}

func newArchive(format string, w io.Writer) (archiveWriter, error) {
	switch format {
	case Zip:
		return newZip(w), nil
	case Tar:
		return newTar(w), nil
	}
	return nil, proto.Errorf(proto.Usage, "no archive is called %q, but %s and %s", format, Zip, Tar)
}

// archiveName is the name of an entry in an archive.
func archiveName(e *wire.Entry) string {
	if e.Kind == wire.EntryFolder {
		return e.Path + "/"
	}
	return e.Path
}
