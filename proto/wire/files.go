package wire

import (
	"errors"
	"fmt"
	"slices"

	"mesh/proto"
)

// The frames of a transfer of files, which are the bytes of its two transfers. See
// "Files" in package proto for their order.
const (
	TypeEntry   Type = 0x20
	TypeFrom    Type = 0x21
	TypeData    Type = 0x22
	TypeEnd     Type = 0x23
	TypeTotal   Type = 0x24
	TypeHole    Type = 0x27
	TypeAnswer  Type = 0x28
	TypeRefused Type = 0x29
	TypeStored  Type = 0x2a
	TypeCount   Type = 0x2c
)

// The kinds of an [Entry].
const (
	EntryFile    = "file"
	EntryFolder  = "folder"
	EntrySymlink = "symlink"
	EntryLink    = "link" // another name of a file of the same transfer
)

// Entry is FILES_ENTRY: the sender announces a file, folder or symbolic link.
type Entry struct {
	ID int64 `json:"id"` // 1, 2, 3 …
	// Path is relative, with slashes, and need not be UTF-8. It is not checked here:
	// the receiver decides whether it may be written.
	Path string `json:"path"`
	Kind string `json:"kind"`
	Size int64  `json:"size,omitempty"` // of a file
	// Holes is how many bytes of a file that is not small are in holes, as far as the
	// sender knows. Only for a peer of minor version 1.
	Holes int64 `json:"holes,omitempty"`
	Mode  int   `json:"mode,omitempty"` // permissions: 0 to 0777
	// Mtime is nanoseconds since 1970.
	Mtime int64 `json:"mtime,omitempty"`
	// Digest is set for a file of at most [proto.SmallFileBytes], and only then.
	Digest *Digest `json:"blake3,omitempty"`
	Target string  `json:"target,omitempty"` // of a symbolic link; of a link: the path of the file
	// Now means that the sender does not wait for a FILES_ANSWER: the data of a
	// file follows at once.
	Now bool `json:"now,omitempty"`
	// Links in a folder says that the sender knows links, and asks with that whether it
	// may send them; in a file, that links to it may follow. Only for a peer of minor
	// version 1.
	Links bool `json:"links,omitempty"`
}

// Small reports whether the entry is a file whose data is sent in one frame.
func (m *Entry) Small() bool { return m.Kind == EntryFile && m.Size <= proto.SmallFileBytes }

// Hole is FILES_HOLE, in place of FILES_DATA: so many zeros, at most [proto.MaxHoleBytes].
// Only for a peer of minor version 1.
type Hole struct {
	Bytes int64 `json:"bytes"`
}

// From is FILES_FROM: the data of a file begins, at an offset.
type From struct {
	ID   int64 `json:"id"`
	From int64 `json:"from,omitempty"`
}

// End is FILES_END, behind a file's data.
type End struct {
	ID int64 `json:"id"`
	// Digest is that of the whole file.
	Digest *Digest `json:"blake3,omitempty"`
	// Code says why the file can't be sent. Its data so far is worthless then.
	Code proto.Code `json:"code,omitempty"`
}

// Total is FILES_TOTAL, the sender's last frame.
type Total struct {
	Entries int64 `json:"entries"` // how many were announced
	// Failed is how many entries could not be sent, announced or not; Code is the
	// reason for the first.
	Failed int64      `json:"failed,omitempty"`
	Code   proto.Code `json:"code,omitempty"`
}

// Answer is FILES_ANSWER to an [Entry] without Now.
type Answer struct {
	ID int64 `json:"id"`
	// Fresh means that the folder was created now and is empty.
	Fresh bool `json:"fresh,omitempty"`
	// Links, with Fresh, allows links below the folder. Its entry has asked for that.
	Links bool `json:"links,omitempty"`
	// Skip means that the receiver has the same entry already.
	Skip bool `json:"skip,omitempty"`
	// Have is how many bytes of the file the receiver has, Digest their digest.
	Have   int64   `json:"have,omitempty"`
	Digest *Digest `json:"blake3,omitempty"`
	// Code means that the entry is refused; with Have, that it is refused unless
	// Digest is the digest of the whole file.
	Code proto.Code `json:"code,omitempty"`
	// Why says in words why the entry is refused, in at most [proto.MaxWhyBytes]. Only for
	// a peer of minor version 1.
	Why string `json:"why,omitempty"`
	// Count, in the first answer, asks for a FILES_COUNT. Only for a peer of minor version
	// [CountMinor].
	Count bool `json:"count,omitempty"`
}

// CountMinor is the minor version from which on a sender can be asked for a [Count].
const CountMinor = 5

// Count is FILES_COUNT, once between other frames, for displays: how many bytes the sender
// has counted in all files, those included that the receiver has or refuses, but not
// what is in links. The files may change meanwhile.
type Count struct {
	Bytes int64 `json:"bytes"`
}

// Refused is FILES_REFUSED: an entry that was announced with Now, or that was not
// refused in its answer, is not stored after all.
type Refused struct {
	Path string     `json:"path"`
	Code proto.Code `json:"code"`
	Why  string     `json:"why,omitempty"` // as in an [Answer]
}

// Stored is FILES_STORED, the receiver's last frame: every entry that was not
// refused is durable.
type Stored struct {
	Files   int64 `json:"files"`             // how many are stored
	Skipped int64 `json:"skipped,omitempty"` // how many were there already
	// Bytes is how many bytes the stored files hold, without holes and without what is in
	// links. Only for a peer of minor version 1.
	Bytes int64 `json:"bytes,omitempty"`
	// Refused is how many entries were not stored; Code is the reason for the
	// first.
	Refused int64      `json:"refused,omitempty"`
	Code    proto.Code `json:"code,omitempty"`
}

// Type implements [Message].
func (*Entry) Type() Type { return TypeEntry }

// Type implements [Message].
func (*Hole) Type() Type { return TypeHole }

// Type implements [Message].
func (*From) Type() Type { return TypeFrom }

// Type implements [Message].
func (*End) Type() Type { return TypeEnd }

// Type implements [Message].
func (*Total) Type() Type { return TypeTotal }

// Type implements [Message].
func (*Answer) Type() Type { return TypeAnswer }

// Type implements [Message].
func (*Refused) Type() Type { return TypeRefused }

// Type implements [Message].
func (*Stored) Type() Type { return TypeStored }

// Type implements [Message].
func (*Count) Type() Type { return TypeCount }

func (m *Entry) check() error {
	switch {
	case m.ID < 1 || m.Size < 0 || m.Mode < 0 || m.Mode > 0o777:
		return errRange
	case !slices.Contains([]string{EntryFile, EntryFolder, EntrySymlink, EntryLink}, m.Kind):
		return fmt.Errorf("unknown kind of entry")
	case m.Small() != (m.Digest != nil):
		return fmt.Errorf("the digest does not fit the size")
	case m.Holes < 0 || m.Holes > m.Size || m.Holes > 0 && m.Small():
		return fmt.Errorf("the holes do not fit the size")
	case m.Kind == EntryLink && (!m.Now || m.Mode != 0 || m.Mtime != 0):
		return fmt.Errorf("a link has no attributes and no answer")
	case m.Links && m.Kind != EntryFolder && (m.Kind != EntryFile || !m.Now):
		return fmt.Errorf("no links can lead to it")
	case m.Kind != EntryFile && m.Kind != EntryLink && m.Size != 0:
		return fmt.Errorf("the size does not fit the kind")
	case (m.Kind == EntrySymlink || m.Kind == EntryLink) != (m.Target != "") || len(m.Target) > proto.MaxPathBytes:
		return fmt.Errorf("the target does not fit the kind")
	}
	return nil
}

func (m *Hole) check() error {
	if m.Bytes < 1 || m.Bytes > proto.MaxHoleBytes {
		return errRange
	}
	return nil
}

func (m *From) check() error {
	if m.ID < 1 || m.From < 0 {
		return errRange
	}
	return nil
}

func (m *End) check() error {
	if m.ID < 1 || (m.Digest == nil) != isFileCode(m.Code) {
		return errRange
	}
	return nil
}

func (m *Total) check() error {
	if m.Entries < 0 || m.Failed < 0 || (m.Failed > 0) != isFileCode(m.Code) {
		return errRange
	}
	return nil
}

func (m *Answer) check() error {
	if m.ID < 1 || m.Have < 0 || m.Links && !m.Fresh || (m.Have > 0) != (m.Digest != nil) || m.Code != 0 && !isFileCode(m.Code) {
		return errRange
	}
	if m.Why != "" && (m.Code == 0 || m.Have > 0) || len(m.Why) > proto.MaxWhyBytes {
		return errRange
	}
	n := 0
	for _, is := range []bool{m.Fresh, m.Skip, m.Have > 0 || m.Code != 0} {
		if is {
			n++
		}
	}
	if n > 1 {
		return fmt.Errorf("more than one answer")
	}
	return nil
}

func (m *Refused) check() error {
	if m.Path == "" || len(m.Path) > proto.MaxPathBytes || !isFileCode(m.Code) || len(m.Why) > proto.MaxWhyBytes {
		return errRange
	}
	return nil
}

func (m *Stored) check() error {
	if m.Files < 0 || m.Skipped < 0 || m.Bytes < 0 || m.Bytes > 0 && m.Files == 0 || m.Refused < 0 || (m.Refused > 0) != isFileCode(m.Code) {
		return errRange
	}
	return nil
}

func (m *Count) check() error {
	if m.Bytes < 0 {
		return errRange
	}
	return nil
}

var errRange = errors.New("value out of range")

// isFileCode reports whether c can be the reason why one file of many was not sent or
// not stored.
func isFileCode(c proto.Code) bool {
	return c == proto.IO || c == proto.Unsafe || c == proto.Changed
}

// AppendDataHeader appends the header of a FILES_DATA frame with n bytes of data, 1
// to [proto.MaxChunkBytes].
func AppendDataHeader(dst []byte, n int) []byte {
	return AppendHeader(dst, Header{TypeData, n})
}
