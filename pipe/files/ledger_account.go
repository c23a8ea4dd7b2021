package files

import (
	"cmp"
	"encoding/binary"
	"io/fs"
	"slices"
	"sync"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
)

// account is the part of a [Ledger] about the files of one peer in one folder. Its
// methods may be called by several goroutines. A nil account knows nothing and allows
// no guess.
type account struct {
	ledger *Ledger
	place  string // absolute path of the folder
	stored recordFile

	mu     sync.Mutex
	known  []storedFile // sorted; read at the first question
	loaded bool
	notes  []byte // records that are not in the file yet
	noted  int64  // bytes of the files that notes are about
	err    error  // of a write; nothing is written after it
}

// storedFile is a file that the peer has stored. It begins the two keys of a record, so
// that an account of maxRecords takes 2 MiB of memory.
type storedFile struct{ file, content uint64 }

func begin(key recordKey) uint64 { return binary.BigEndian.Uint64(key[:]) }

// maxNoted bounds the bytes of files whose notes wait to be written. A repeat after kill -9
// sends no more than those again.
const maxNoted = 256 << 10

// key identifies a file at a path in the folder as it is now.
func (a *account) key(path string, info fs.FileInfo) recordKey {
	b := make([]byte, 0, 256)
	for _, word := range [...]string{a.place, path, info.Mode().Type().String()} {
		b = append(append(b, word...), 0)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(info.Size()))
	b = binary.BigEndian.AppendUint64(b, uint64(info.ModTime().UnixNano()))
	b = binary.BigEndian.AppendUint64(b, disk.Inode(info))
	return shorten(digest.Sum(b))
}

// wasStored reports whether the peer has stored a file whose size, time and place on the
// disk have not changed since. Then holds reports whether a digest is that of what the
// peer has stored: the caller compares it with what the file holds now.
func (a *account) wasStored(path string, info fs.FileInfo) (holds func(digest.Digest) bool, found bool) {
	if a == nil {
		return nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.loaded {
		a.known, a.loaded = a.load(), true
	}
	key := begin(a.key(path, info))
	i, found := slices.BinarySearchFunc(a.known, key, func(s storedFile, key uint64) int { return cmp.Compare(s.file, key) })
	if !found {
		return nil, false
	}
	for i+1 < len(a.known) && a.known[i+1].file == key { // the last note counts
		i++
	}
	content := a.known[i].content
	return func(sum digest.Digest) bool { return begin(shorten(sum)) == content }, true
}

// load reads the records. If that fails, it returns none.
func (a *account) load() []storedFile {
	text, _ := a.stored.read(0)
	known := make([]storedFile, 0, len(text)/a.stored.record)
	for ; len(text) >= a.stored.record; text = text[a.stored.record:] {
		known = append(known, storedFile{begin(recordKey(text)), begin(recordKey(text[len(recordKey{}):]))})
	}
	slices.SortStableFunc(known, func(x, y storedFile) int { return cmp.Compare(x.file, y.file) })
	return known
}

// note notes that the peer has stored a file.
func (a *account) note(path string, info fs.FileInfo, sum digest.Digest) {
	if a == nil {
		return
	}
	key, content := a.key(path, info), shorten(sum)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notes = append(append(a.notes, key[:]...), content[:]...)
	if a.noted += info.Size() + int64(a.stored.record); a.noted >= maxNoted { // empty files too
		a.flushLocked()
	}
}

// flush writes the notes to the file. It returns why that or an earlier write has failed.
func (a *account) flush() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushLocked()
	return a.err
}

func (a *account) flushLocked() {
	if len(a.notes) > 0 && a.err == nil {
		a.err = a.stored.add(a.notes)
	}
	a.notes, a.noted = a.notes[:0], 0
}

// allowsGuess reports whether the peer may hear that a file which it has not stored
// holds what it is about to send. A file that the file system has under another name is
// not the peer's to guess at: each spelling would be one more guess.
func (a *account) allowsGuess(in *folder, name string, info fs.FileInfo) bool {
	if a == nil || !a.ledger.allowsGuess(a.key(in.pathOf(name), info)) {
		return false
	}
	_, is, err := in.disk.HasOther(name)
	return !is && err == nil
}

// guess takes the peer's guess at what a file holds, and reports whether the peer may hear
// that it is right. If so, the peer counts as one that has stored the file.
func (a *account) guess(path string, info fs.FileInfo, sum digest.Digest, right bool) bool {
	if a == nil || !a.ledger.guess(a.key(path, info), right) {
		return false
	}
	a.note(path, info, sum)
	return true
}
