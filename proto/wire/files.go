package wire

import (
	"errors"
	"fmt"
	"slices"

	"mesh/proto"
)

// The frames of a transfer of files, which are the bytes of its two pipes. See
// "Files" in package proto for who sends which and when.
const (
	TypeEntry   Type = 0x20
	TypeFrom    Type = 0x21
	TypeData    Type = 0x22
	TypeEnd     Type = 0x23
	TypeTotal   Type = 0x24
	TypeAnswer  Type = 0x28
	TypeRefused Type = 0x29
	TypeStored  Type = 0x2a
)

// The kinds of an [Entry].
const (
	EntryFile    = "file"
	EntryFolder  = "folder"
	EntrySymlink = "symlink"
)

// Entry is FILES_ENTRY: a file, folder or symbolic link that there is.
type Entry struct {
	ID int64 `json:"id"` // 1, 2, 3 …
	// Path is relative, with slashes. Whether it is one that may be written is for
	// the receiver to say, whatever it is.
	Path string `json:"path"`
	Kind string `json:"kind"`
	Size int64  `json:"size,omitempty"` // of a file
	Mode int    `json:"mode,omitempty"` // permissions: 0 to 0777
	// Mtime is nanoseconds since 1970.
	Mtime int64 `json:"mtime,omitempty"`
	// Digest is there for a file of at most [proto.SmallFileBytes].
	Digest *Digest `json:"blake3,omitempty"`
	Target string  `json:"target,omitempty"` // of a symbolic link
	// Now says that this entry waits for no FILES_ANSWER: what a file holds
	// follows at once.
	Now bool `json:"now,omitempty"`
}

// Small reports whether the entry is a file that comes in one piece.
func (m *Entry) Small() bool { return m.Kind == EntryFile && m.Size <= proto.SmallFileBytes }

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
	// Code says why there is no more of it, and that it is worth nothing.
	Code proto.Code `json:"code,omitempty"`
}

// Total is FILES_TOTAL, the sender's last frame.
type Total struct {
	Entries int64 `json:"entries"` // that were announced
	// Failed counts what could not be sent, announced or not; Code is why the
	// first of it could not.
	Failed int64      `json:"failed,omitempty"`
	Code   proto.Code `json:"code,omitempty"`
}

// Answer is FILES_ANSWER to an [Entry] that waits for one.
type Answer struct {
	ID int64 `json:"id"`
	// Fresh says that the folder was made just now, so that nothing is in it.
	Fresh bool `json:"fresh,omitempty"`
	// Skip says that the same is there already.
	Skip bool `json:"skip,omitempty"`
	// Have is how much of the file is there, Digest what that is.
	Have   int64   `json:"have,omitempty"`
	Digest *Digest `json:"blake3,omitempty"`
	// Code says that the entry is refused; with Have, unless the digest is that
	// of the file.
	Code proto.Code `json:"code,omitempty"`
}

// Refused is FILES_REFUSED: an entry that was not waiting for an answer, or that
// was taken, is not stored after all.
type Refused struct {
	Path string     `json:"path"`
	Code proto.Code `json:"code"`
}

// Stored is FILES_STORED, the receiver's last frame: all that was taken is
// durable.
type Stored struct {
	Files   int64 `json:"files"`             // stored
	Skipped int64 `json:"skipped,omitempty"` // that were there already
	// Refused counts what was not stored, Code is why the first was not.
	Refused int64      `json:"refused,omitempty"`
	Code    proto.Code `json:"code,omitempty"`
}

// Type implements [Message].
func (*Entry) Type() Type { return TypeEntry }

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

func (m *Entry) check() error {
	switch {
	case m.ID < 1 || m.Size < 0 || m.Mode < 0 || m.Mode > 0o777:
		return errRange
	case !slices.Contains([]string{EntryFile, EntryFolder, EntrySymlink}, m.Kind):
		return fmt.Errorf("unknown kind of entry")
	case m.Small() != (m.Digest != nil):
		return fmt.Errorf("digest does not go with the size")
	case m.Kind != EntryFile && m.Size != 0:
		return fmt.Errorf("size does not go with the kind")
	case (m.Kind == EntrySymlink) != (m.Target != "") || len(m.Target) > proto.MaxPathBytes:
		return fmt.Errorf("target does not go with the kind")
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
	if m.ID < 1 || m.Have < 0 || (m.Have > 0) != (m.Digest != nil) || m.Code != 0 && !isFileCode(m.Code) {
		return errRange
	}
	n := 0
	for _, is := range []bool{m.Fresh, m.Skip, m.Have > 0 || m.Code != 0} {
		if is {
			n++
		}
	}
	if n > 1 {
		return fmt.Errorf("two answers")
	}
	return nil
}

func (m *Refused) check() error {
	if m.Path == "" || len(m.Path) > proto.MaxPathBytes || !isFileCode(m.Code) {
		return errRange
	}
	return nil
}

func (m *Stored) check() error {
	if m.Files < 0 || m.Skipped < 0 || m.Refused < 0 || (m.Refused > 0) != isFileCode(m.Code) {
		return errRange
	}
	return nil
}

var errRange = errors.New("value out of range")

// isFileCode reports whether c can be why one of many files is not there.
func isFileCode(c proto.Code) bool {
	return c == proto.IO || c == proto.Unsafe || c == proto.Changed
}

// AppendDataHeader appends all of a FILES_DATA frame but its n bytes, 1 to
// [proto.MaxChunkBytes].
func AppendDataHeader(dst []byte, n int) []byte {
	return AppendHeader(dst, Header{TypeData, n})
}
