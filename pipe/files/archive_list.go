package files

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"unicode"

	"mesh/proto"
	"mesh/proto/wire"
)

// maxDirectoryBytes bounds what is read of a zip to list it.
const maxDirectoryBytes = 256 << 20

// listZip lists a zip from the directory at its end.
func (a *archiveReader) listZip() error {
	r := &boundedReaderAt{r: a.file, left: maxDirectoryBytes}
	z, err := zip.NewReader(r, a.info.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // addMember checks names
		if err == zip.ErrFormat && !a.endsZip() {
			err = io.ErrUnexpectedEOF
		}
		return a.errUnreadable(err)
	}
	r.left = math.MaxInt64
	for _, f := range z.File {
		m := member{path: f.Name, perm: f.Mode().Perm(), mtime: f.Modified, size: int64(f.UncompressedSize64), open: f.Open}
		switch mode := f.Mode(); {
		case f.Flags&1 != 0:
			m.err = fmt.Errorf("it is encrypted")
		case f.UncompressedSize64 > math.MaxInt64:
			m.err = errDamaged(errors.New("it is larger than any file"))
		case mode.IsDir():
			m.kind = wire.EntryFolder
		case mode&fs.ModeSymlink != 0 && a.symlinks:
			m.kind = wire.EntrySymlink
			m.target, m.err = readTarget(f)
		case mode.IsRegular():
			m.kind = wire.EntryFile
		default:
			m.err = errOfKind(mode)
		}
		if f.ExternalAttrs == 0 { // the zip has no modes
			m.perm = 0o644
			if m.kind == wire.EntryFolder {
				m.perm = 0o755
			}
		}
		if err := a.addMember(m); err != nil {
			return err
		}
	}
	return nil
}

// endsZip reports whether the file has the record that ends a zip. A comment of up to
// 64 KiB may follow it.
func (a *archiveReader) endsZip() bool {
	const recordBytes = 22
	tail := make([]byte, min(a.info.Size(), math.MaxUint16+recordBytes))
	n, _ := a.file.ReadAt(tail, a.info.Size()-int64(len(tail)))
	at := bytes.LastIndex(tail[:n], []byte("PK\x05\x06"))
	return at >= 0 && n-at >= recordBytes
}

// readTarget reads the target of a symbolic link in a zip.
func readTarget(f *zip.File) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", errDamaged(err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, proto.MaxPathBytes+1)) // checkLinkTarget refuses a longer one
	if err != nil {
		return "", errDamaged(err)
	}
	return string(b), nil
}

// boundedReaderAt fails once more than left bytes have been read.
type boundedReaderAt struct {
	r    io.ReaderAt
	left int64
}

var errDirectory = proto.Errorf(proto.Space, "the archive's list of files is too long")

func (b *boundedReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if int64(len(p)) > b.left {
		return 0, errDirectory
	}
	b.left -= int64(len(p))
	return b.r.ReadAt(p, off)
}

// tarBlockBytes is the size of the blocks of a tar.
const tarBlockBytes = 512

// listTar lists a tar from the headers of its members, and skips their content.
func (a *archiveReader) listTar() error {
	r := io.NewSectionReader(a.file, 0, a.info.Size())
	t := tar.NewReader(r)
	end := int64(0) // of the content of the member before
	for first := true; ; first = false {
		h, err := t.Next()
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // addMember checks names
			at, _ := r.Seek(0, io.SeekCurrent)
			switch {
			case first && (err != io.EOF || at == 0) && !a.beginsTar():
				return proto.Errorf(proto.Usage, "%s is neither a zip nor a tar", a.name)
			case err != io.EOF:
				return a.errUnreadable(err)
			case at <= end:
				return a.errUnreadable(io.ErrUnexpectedEOF) // no block of zeros ends it
			}
			return nil
		}
		at, _ := r.Seek(0, io.SeekCurrent)
		if end = at; h.Typeflag == tar.TypeReg && !isSparse(h) {
			if h.Size > a.info.Size()-at {
				return a.errUnreadable(io.ErrUnexpectedEOF)
			}
			end = at + (h.Size+tarBlockBytes-1)/tarBlockBytes*tarBlockBytes
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := a.addMember(a.tarMember(h, at)); err != nil {
			return err
		}
	}
}

// beginsTar reports whether the file, which may be cut short, begins like a tar: with
// a name, zeros up to its full length, and the octal digits of a mode.
func (a *archiveReader) beginsTar() bool {
	const nameBytes, modeBytes = 100, 7
	head := make([]byte, nameBytes+modeBytes)
	n, _ := a.file.ReadAt(head, 0)
	name, rest, ok := bytes.Cut(head[:min(n, nameBytes)], []byte{0})
	if !ok || len(name) == 0 || bytes.ContainsFunc(name, unicode.IsControl) || len(bytes.Trim(rest, "\x00")) > 0 {
		return false
	}
	return n <= nameBytes || len(bytes.Trim(head[nameBytes:n], "01234567")) == 0
}

// tarMember returns the member of a header. Its content begins at an offset.
func (a *archiveReader) tarMember(h *tar.Header, at int64) member {
	mode := h.FileInfo().Mode()
	m := member{path: h.Name, perm: mode.Perm(), mtime: h.ModTime}
	special := func(what string) { m.err = fmt.Errorf("%w: it is a %s", errSpecial, what) }
	switch {
	case isSparse(h):
		special("sparse file of GNU tar")
	case h.Typeflag == tar.TypeReg:
		m.kind, m.size = wire.EntryFile, h.Size
		m.open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(a.file, at, h.Size)), nil }
	case h.Typeflag == tar.TypeDir:
		m.kind = wire.EntryFolder
	case h.Typeflag == tar.TypeSymlink && a.symlinks:
		m.kind, m.target = wire.EntrySymlink, h.Linkname
	case h.Typeflag == tar.TypeLink:
		special("hard link")
	default:
		m.err = errOfKind(mode)
	}
	return m
}

// isSparse reports whether the archive leaves holes of a file out.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// errUnreadable gives the error of an archive that cannot be listed its code.
func (a *archiveReader) errUnreadable(err error) error {
	code := proto.Protocol
	switch {
	case errors.Is(err, errDirectory):
		code = proto.Space
	case errors.Is(err, io.ErrUnexpectedEOF):
		code = proto.Truncated
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return proto.IOError(err)
	}
	return proto.Errorf(code, "%s is not a whole archive: %w", a.name, err)
}
