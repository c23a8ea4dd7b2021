package files

import (
	"bytes"
	"encoding/hex"
	"path/filepath"
	"sync"

	"mesh/pipe/digest"
)

// Ledger notes what each peer has stored at this node. A peer that may only send hears
// that a file is there already, or its digest, only of files that it has stored itself
// and that have not changed since. Any other file is compared when all its data has
// arrived. A peer that turns out to have sent other content has used up the one guess at
// that file, for all other peers too.
//
// What the ledger loses costs no more than sending a file again. One ledger serves all
// transfers of a process, and several processes may share its folder. A nil ledger
// knows nothing and allows no guess.
type Ledger struct {
	dir     string
	guesses recordFile

	mu    sync.Mutex
	tried map[recordKey]bool // files at which a peer has guessed wrongly
	read  int64              // bytes of the guesses' file that are in tried
}

// recordKey begins the digest of what a record is about.
type recordKey [16]byte

func shorten(sum digest.Digest) recordKey { return recordKey(sum[:len(recordKey{})]) }

// These are the bounds of a ledger: files of each peer, files in its folder, which are one
// for each peer and two more, and wrong guesses. When there are so many wrong guesses, no
// further guess is allowed.
const (
	maxRecords = 1 << 17
	maxLedgers = 256
	maxGuesses = 1 << 16
)

// These are the names of the files that are for all peers: of guesses, and of aliases.
const (
	guessFile = "guesses"
	aliasFile = "aliases"
)

// maxAliases bounds the aliases that are known; the older ones are forgotten.
const maxAliases = 1 << 10

// NewLedger returns the ledger in the folder dir, which is created with the first note.
// If dir is "", there is no ledger: it returns nil.
func NewLedger(dir string) *Ledger {
	if dir == "" {
		return nil
	}
	return &Ledger{
		dir:     dir,
		guesses: recordFile{path: filepath.Join(dir, guessFile), record: len(recordKey{}), most: maxGuesses},
		tried:   make(map[recordKey]bool),
	}
}

// NoteAlias notes that an owner also sends under the name alias. Each of the two then
// hears of what the other has stored. See [ReceiveOptions].
func (l *Ledger) NoteAlias(alias, owner string) error {
	if l == nil {
		return nil
	}
	a, o := shorten(digest.Sum([]byte(alias))), shorten(digest.Sum([]byte(owner)))
	return l.aliases().add(append(a[:], o[:]...))
}

func (l *Ledger) aliases() recordFile {
	return recordFile{path: filepath.Join(l.dir, aliasFile), record: 2 * len(recordKey{}), most: maxAliases}
}

// keyOf returns the key of an owner. An alias has the key of the owner that it stands for.
func (l *Ledger) keyOf(owner string) recordKey {
	key := shorten(digest.Sum([]byte(owner)))
	aliases := l.aliases()
	text, _ := aliases.read(0) // without the file nobody is an alias
	for ; len(text) >= aliases.record; text = text[aliases.record:] {
		if bytes.HasPrefix(text, key[:]) {
			return recordKey(text[len(key):])
		}
	}
	return key
}

// account returns the account of a peer's files in the folder called place.
func (l *Ledger) account(owner, place string) *account {
	if l == nil {
		return nil
	}
	if abs, err := filepath.Abs(place); err == nil {
		place = abs
	}
	if real, err := filepath.EvalSymlinks(place); err == nil {
		place = real
	}
	key := l.keyOf(owner)
	return &account{
		ledger: l, place: place,
		stored: recordFile{path: filepath.Join(l.dir, hex.EncodeToString(key[:])), record: 2 * len(recordKey{}), most: maxRecords},
	}
}

// allowsGuess reports whether no peer has guessed wrongly at a file. It is false also if
// the guesses cannot be read.
func (l *Ledger) allowsGuess(file recordKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.allowsGuessLocked(file)
}

func (l *Ledger) allowsGuessLocked(file recordKey) bool {
	text, err := l.guesses.read(l.read) // other processes add to it
	if err != nil {
		return false
	}
	l.read += int64(len(text))
	for ; len(text) >= l.guesses.record; text = text[l.guesses.record:] {
		l.tried[recordKey(text)] = true
	}
	return len(l.tried) < maxGuesses && !l.tried[file]
}

// guess uses up the guess at a file if it is wrong. It reports whether the peer may hear
// that it is right. Of peers that guess at the same time, those behind the first wrong
// guess hear nothing.
func (l *Ledger) guess(file recordKey, right bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.allowsGuessLocked(file) {
		return false
	}
	if !right {
		l.tried[file] = true
		_ = l.guesses.add(file[:]) // if that fails, only this process knows
	}
	return right
}
