package files

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mesh/pipe/digest"
)

// A record file has a bound, keeps the newest records, and is whole again after a write
// that failed half-way.
func TestRecordFile(t *testing.T) {
	t.Parallel()
	f := recordFile{path: filepath.Join(t.TempDir(), "new", "f"), record: 4, most: 8}
	for i := range 100 {
		if err := f.add(fmt.Appendf(nil, "%04d", i)); err != nil {
			t.Fatal(err)
		}
		b, err := f.read(0)
		if want := fmt.Sprintf("%04d", i); err != nil || len(b) > f.most*f.record || string(b[len(b)-4:]) != want {
			t.Fatalf("got %q, %v, want at most %d records that end with %s", b, err, f.most, want)
		}
	}
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString("ab")
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.add([]byte("last")); err != nil {
		t.Fatal(err)
	}
	if b, err := f.read(0); err != nil || string(b[len(b)-8:]) != "0099last" {
		t.Errorf("got %q, %v, want the records before the torn one, and the next", b, err)
	}
}

// There are at most maxLedgers files; the oldest goes, never that of the guesses.
func TestLedgersAreBounded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "stored")
	place := t.TempDir()
	name := filepath.Join(place, "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	guessed := NewLedger(dir)
	file := guessed.account("mallory", place).key("f", info)
	if !guessed.allowsGuess(file) {
		t.Fatal("no guess is allowed at first")
	}
	if guessed.guess(file, false) {
		t.Fatal("a wrong guess is taken for a right one")
	}
	old := time.Unix(1_000_000_000, 0)
	if err := os.Chtimes(filepath.Join(dir, guessFile), old, old); err != nil {
		t.Fatal(err)
	}
	for i := range maxLedgers + 10 {
		l := NewLedger(dir).account(fmt.Sprint(i), place)
		l.note("f", info, digest.Sum(nil))
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(l.stored.path, old.Add(time.Duration(i)*time.Second), old.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > maxLedgers {
		t.Errorf("got %d files, %v, want at most %d", len(entries), err, maxLedgers)
	}
	for owner, want := range map[string]bool{"0": false, fmt.Sprint(maxLedgers + 9): true} {
		if _, got := NewLedger(dir).account(owner, place).wasStored("f", info); got != want {
			t.Errorf("the ledger of %s: got %t, want %t", owner, got, want)
		}
	}
	if NewLedger(dir).allowsGuess(file) {
		t.Error("the wrong guess is forgotten")
	}
}

// What an owner has stored, its alias may hear of, and no other.
func TestAlias(t *testing.T) {
	t.Parallel()
	dir, place := filepath.Join(t.TempDir(), "stored"), t.TempDir()
	name := filepath.Join(place, "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, alias := range []string{"one", "two"} {
		if err := NewLedger(dir).NoteAlias(alias, "me"); err != nil {
			t.Fatal(err)
		}
	}
	l := NewLedger(dir).account("one", place)
	l.note("f", info, digest.Sum(nil))
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[string]bool{"one": true, "two": true, "me": true, "other": false} {
		if _, got := NewLedger(dir).account(owner, place).wasStored("f", info); got != want {
			t.Errorf("%s: got %t, want %t", owner, got, want)
		}
	}
}

// What a process that is killed loses is about files of maxNoted bytes at most.
func TestNotesAreWritten(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	for _, size := range []int64{0, 1000, maxNoted - 64, maxNoted} {
		name := filepath.Join(place, fmt.Sprint(size))
		if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		const files = 10_000
		dir := filepath.Join(t.TempDir(), "stored")
		a := NewLedger(dir).account("bob", place)
		for i := range files {
			a.note(fmt.Sprint(i), info, digest.Digest{})
		}
		known := 0
		later := NewLedger(dir).account("bob", place)
		for i := range files {
			if _, found := later.wasStored(fmt.Sprint(i), info); found {
				known++
			}
		}
		if lost := files - known; int64(lost)*size >= maxNoted || lost > files-1000 {
			t.Errorf("of %d files of %d bytes, the notes about %d are not written", files, size, lost)
		}
	}
}
