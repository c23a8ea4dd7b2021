//go:build unix

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/cmd/mesh/internal/attacker"
)

// inboxOf starts an inbox in the folder in of dir, and returns a token for it.
func inboxOf(t *testing.T, dir string, flags ...string) attacker.Token {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	begin(t, dir, nil, "mesh-listen", append(flags, "--inbox", "in", "--listen", "127.0.0.1:0", "--token-file", "tok")...)
	return tokenIn(t, filepath.Join(dir, "tok"))
}

// deliver begins a delivery of files.
func deliver(t *testing.T, tok attacker.Token, settings *tls.Config) *attacker.Link {
	t.Helper()
	l, err := attacker.Call(t.Context(), "tcp", tok, settings, "send", "files")
	if err == nil {
		err = l.Meta("files")
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// partBytes returns the size of all unfinished files below a folder.
func partBytes(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".mesh-") {
			if info, err := d.Info(); err == nil { // it may go meanwhile
				n += info.Size()
			}
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return n
}

// The unfinished files of one sender take no more room than one delivery may, and leave
// other senders their room.
func TestBrokenDeliveries(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	dir := t.TempDir()
	tok := inboxOf(t, dir, "--max-size", "1MiB")
	sender := anyListener()
	data := bytes.Repeat([]byte("unfinished"), most/10)
	deliveries := int(torture(t, "TORTURE_BROKEN", 5, 20, 500))
	var peak int64
	for i := range deliveries {
		l := deliver(t, tok, sender)
		if _, err := l.Offer(attacker.File(1, fmt.Sprint("f", i), data)); err != nil {
			t.Fatalf("delivery %d: %v", i, err)
		}
		if err := l.Part(1, data[:len(data)-1000]); err != nil {
			t.Fatalf("delivery %d: %v", i, err)
		}
		poll(t, "the data is on the disk", func() bool { return partBytes(t, dir) >= most/2 })
		l.Close(0x4d0c)
		peak = max(peak, partBytes(t, filepath.Join(dir, "in")))
	}
	// While one delivery ends, the next has begun.
	if peak > 3*most {
		t.Errorf("the unfinished files had %d bytes, want at most %d and those of running deliveries", peak, most)
	}
	poll(t, "room of one delivery", func() bool { return partBytes(t, filepath.Join(dir, "in")) <= most })
	l := deliver(t, tok, anyListener())
	if _, err := l.Offer(attacker.File(1, "whole", data)); err != nil {
		t.Fatal(err)
	}
	if err := l.Whole(1, data); err != nil {
		t.Fatal(err)
	}
	if f, err := l.Total(1); err != nil || f.Text("files") != "1" {
		t.Errorf("another sender: got %s (%v), want one file stored", f.Body, err)
	}
	l.Finish()
	t.Logf("torture: %d broken deliveries of one sender: at most %d KiB of unfinished files, the running delivery of 1024 KiB included", deliveries, peak>>10)
}

// A time before 1970 or far ahead is not taken, and a folder that was there keeps its own.
func TestSentTimes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tok := inboxOf(t, dir)
	old := time.Now().Add(-1000 * time.Hour)
	there := filepath.Join(dir, "in", "there")
	if err := firstOf(os.Mkdir(there, 0o700), os.Chtimes(there, old, old)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	rows := []struct {
		at    time.Time
		taken bool
	}{
		{time.Unix(-1, 0), false},
		{time.Unix(0, -1), false},
		{time.Unix(0, -1<<63), false},
		{time.Unix(0, 1), true},
		{began.Add(23 * time.Hour), true},
		{began.Add(25 * time.Hour), false},
		{time.Unix(0, 1<<63-1), false},
	}
	l := deliver(t, tok, anyListener())
	offer := func(e attacker.Entry) {
		t.Helper()
		if f, err := l.Offer(e); err != nil || f.Text("code") != "" {
			t.Fatalf("%s: %s, %v", e.Path, f.Body, err)
		}
	}
	id := 0
	for i, row := range rows {
		id += 2
		offer(attacker.Entry{ID: id - 1, Path: fmt.Sprintf("dir%d", i), Kind: "folder", Mode: 0o700, MTime: row.at.UnixNano()})
		file := attacker.File(id, fmt.Sprintf("dir%d/file", i), []byte("x"))
		file.MTime = row.at.UnixNano()
		offer(file)
		if err := l.Whole(id, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	id++
	offer(attacker.Entry{ID: id, Path: "there", Kind: "folder", Mode: 0o777, MTime: began.Add(-time.Hour).UnixNano()})
	if f, err := l.Total(id); err != nil || f.Text("files") != fmt.Sprint(len(rows)) {
		t.Fatalf("got %s (%v), want %d files stored", f.Body, err, len(rows))
	}
	l.Finish()
	for i, row := range rows {
		for _, name := range []string{"", "file"} {
			info, err := os.Stat(filepath.Join(dir, "in", fmt.Sprintf("dir%d", i), name))
			if err != nil {
				t.Fatal(err)
			}
			got := info.ModTime()
			if row.taken && !got.Equal(row.at) || !row.taken && (got.Before(began.Add(-time.Minute)) || got.After(time.Now().Add(time.Minute))) {
				t.Errorf("%q of %v: got %v, want it taken: %v", name, row.at, got, row.taken)
			}
		}
	}
	if info, err := os.Stat(there); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("the folder that was there: got %v (%v), want its own %v", info.ModTime(), err, old)
	}
}

// A sender learns nothing about files that it did not store: neither their content, by
// a guess, nor their digest.
func TestGuessedContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tok := inboxOf(t, dir)
	owner, other := anyListener(), anyListener()
	small, large := []byte("pin 4711"), bytes.Repeat([]byte("secret"), 20_000)
	l := deliver(t, tok, owner)
	for i, data := range [][]byte{large, small} {
		_, _ = l.Offer(attacker.File(i+1, []string{"large", "small"}[i], data))
		_ = l.Whole(i+1, data)
	}
	if f, err := l.Total(2); err != nil || f.Text("files") != "2" {
		t.Fatalf("got %s (%v), want 2 files stored", f.Body, err)
	}
	l.Finish()
	if err := os.WriteFile(filepath.Join(dir, "in", "own"), small, 0o600); err != nil { // by the inbox's user
		t.Fatal(err)
	}
	for name, guesses := range map[string][][]byte{
		"small": {[]byte("pin 4711"), []byte("pin 4712")},
		"own":   {[]byte("pin 4711"), []byte("pin 4712")},
		"large": {large, bytes.Repeat([]byte("public"), 20_000)},
	} {
		for _, guess := range guesses {
			l := deliver(t, tok, other)
			f, err := l.Offer(attacker.File(1, name, guess))
			if err != nil || string(f.Body) != `{"id":1}` {
				t.Errorf("%s: the answer to %.10q is %s (%v), want one that says nothing", name, guess, f.Body, err)
			}
			l.Close(0x4d0c)
		}
	}
	// Once a guess was wrong, a right one is refused too.
	for _, guess := range []string{"pin 4712", "pin 4711"} {
		l := deliver(t, tok, other)
		f, _ := l.Offer(attacker.File(1, "small", []byte(guess)))
		if f.Text("code") == "" {
			_ = l.Whole(1, []byte(guess))
		}
		if f, err := l.Total(1); err != nil || f.Text("refused") != "1" || f.Text("code") != "42" {
			t.Errorf("the result of %q is %s (%v), want it refused with 42", guess, f.Body, err)
		}
		l.Finish()
	}
	l = deliver(t, tok, owner)
	f, err := l.Offer(attacker.File(1, "small", small))
	if err != nil || f.Text("skip") != "true" {
		t.Errorf("the owner got %s (%v), want skip", f.Body, err)
	}
	l.Close(0x4d0c)
}
