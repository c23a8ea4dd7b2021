package files

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// ErrIsThere says that a file is not stored, because something else has its name.
var ErrIsThere = proto.Errorf(proto.Unsafe, "the name is already taken")

var (
	errCut       = proto.Errorf(proto.Truncated, "the peer stopped before the end of the transfer")
	errMore      = proto.Errorf(proto.Protocol, "the peer sends more of a file than it announced")
	errDigest    = proto.Errorf(proto.Integrity, "digest mismatch: a file did not arrive as it was sent")
	errOneFile   = proto.Errorf(proto.Unsafe, "only one file was expected")
	errInRefused = errors.New("its folder is not stored")
	errCollision = proto.Errorf(proto.Unsafe, "on some systems it has the name of another entry that was sent")
)

// nameError refuses a name or the target of a link, with code [proto.Unsafe].
type nameError struct {
	text, words string // with the name and without
}

func (e nameError) Error() string { return e.text }

// Unwrap gives the error its code.
func (nameError) Unwrap() error { return errName }

var errName = proto.Errorf(proto.Unsafe, "the name may not be written")

// rivalError is the errCollision of a file system that takes a name for another one.
type rivalError struct{ other string }

func (e rivalError) Error() string {
	return fmt.Sprintf("the file system takes its name for %s, which was sent too", proto.QuoteText(e.other))
}

func (rivalError) Unwrap() error { return errCollision }

// takenError is the errCollision of a name that the file system takes for that of
// another file which was there before, and which is not replaced.
type takenError struct{ other string }

func (e takenError) Error() string {
	if e.other == "" {
		return "the file system takes its name for another one, which is there"
	}
	return fmt.Sprintf("the file system takes its name for %s, which is there", proto.QuoteText(e.other))
}

func (takenError) Unwrap() error { return errCollision }

// collisionHint says how two names travel that a file system takes for one.
const collisionHint = "tar cf - FILE… | mesh-cat PEER keeps both names, for mesh-recv > FILES.tar"

// errSpecial is in the chain of the error of an item that is neither a file nor a
// folder, nor a link if those are sent.
var errSpecial = errors.New("not sent")

// errOfKind is the error of an item that is neither a file nor a folder.
func errOfKind(mode fs.FileMode) error {
	if mode&fs.ModeSymlink != 0 {
		return ErrSymlink
	}
	return fmt.Errorf("%w: it is a %s", errSpecial, kindOf(mode))
}

// ErrSymlink is the error of a symbolic link that is not sent.
var ErrSymlink = fmt.Errorf("%w: it is a symbolic link", errSpecial)

// checkLinkToSend fails with [ErrSymlink] in the chain if a link may not be sent.
func checkLinkToSend(at, target string) error {
	if err := checkLinkTarget(at, target, AnyNames); err != nil {
		return fmt.Errorf("%w: %w", ErrSymlink, err)
	}
	return nil
}

// errStoreFailed ends the reading of frames when the store has failed, which knows
// the reason.
var errStoreFailed = errors.New("the store has failed")

func errFewer(e *wire.Entry, n int64) error {
	return proto.Errorf(proto.Integrity, "the peer announced %d bytes of a file and sent %d", e.Size, n)
}

func errFull(m *wire.Entry, free int64) error {
	return proto.Errorf(proto.Space, "%s needs %d bytes, and %d are free", proto.QuoteText(m.Path), m.Size-m.Holes, free)
}

// errOrder refuses a message that may not come at this point. It ends the
// transfer.
func errOrder(m wire.Message) error { return errTypeOrder(m.Type()) }

func errTypeOrder(t wire.Type) error { return proto.Errorf(proto.Protocol, "%s out of order", t) }

// errStoring is the error of storing something in a folder of the peer's path.
func errStoring(folder string, err error) error {
	if folder == "" {
		folder = "the folder given"
	}
	return proto.IOError(&fs.PathError{Op: "store in", Path: proto.EscapeText(folder), Err: disk.Cause(err)})
}

// errWriting is the error of writing the file of an entry, nil if err is.
func errWriting(e *wire.Entry, err error) error {
	if err == nil {
		return nil
	}
	return proto.IOError(fmt.Errorf("write %s: %w", proto.EscapeText(e.Path), disk.Cause(err)))
}

// ErrRefused is in the chain of the error of an entry that the receiver does not store.
var ErrRefused = errors.New("the peer does not store it")

// ErrName is in the chain of the error of an entry that the receiver does not store
// because its name deceives a terminal or its reader.
var ErrName = errors.New("its name deceives")

// refusal is the error of one entry that is not stored. The transfer goes on
// without it; any other error of the receiver ends the transfer.
type refusal struct{ reason error }

func (r *refusal) Error() string { return r.reason.Error() }

func (r *refusal) Unwrap() error { return r.reason }

// refuse makes a refusal of an error, with one of the two codes that a single
// entry may have: [proto.Unsafe] or [proto.IO].
func refuse(err error) *refusal {
	if proto.CodeOf(err) == proto.Unsafe {
		return &refusal{err}
	}
	return &refusal{proto.Errorf(proto.IO, "%w", disk.Cause(err))}
}

// wordsOf returns what the sender may hear of the reason why an entry is not stored, ""
// for nothing. It has no name but those that were sent: it is the system's word for what
// happened, or a sentence of this package.
func wordsOf(reason error) string {
	if no, ok := errors.AsType[syscall.Errno](reason); ok {
		return cutText(no.Error(), proto.MaxWhyBytes)
	}
	if bad, ok := errors.AsType[nameError](reason); ok {
		return bad.words
	}
	if _, ok := errors.AsType[takenError](reason); ok {
		return takenError{}.Error()
	}
	for _, known := range []error{ErrIsThere, errCollision, errOneFile, errInRefused, errNoTarget, disk.ErrReplaced} {
		if errors.Is(reason, known) {
			return known.Error()
		}
	}
	return ""
}

// cutText returns the beginning of a text, of at most n bytes and valid UTF-8.
func cutText(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

// refuseUnlessFull is [refuse], but a full disk ends the transfer: nothing else
// would fit either.
func refuseUnlessFull(folder string, err error) error {
	if proto.CodeOf(proto.IOError(err)) == proto.Space {
		return errStoring(folder, err)
	}
	return refuse(err)
}

// endsTransfer reports whether an error is a fault of the disk or of this process, after
// which nothing else could be stored either, or a folder that was replaced while it was
// filled. Any other is a fault of one entry.
func endsTransfer(err error) bool {
	for _, fault := range []error{syscall.EIO, syscall.EROFS, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, fault) {
			return true
		}
	}
	code := proto.CodeOf(proto.IOError(err))
	return code == proto.Space || code == proto.Unsafe
}
