package boltstore_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub/boltstore"
	"mesh/proto/hub/broker"
	"mesh/proto/xtest"
)

func open(t *testing.T, path string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func entry(i int) broker.Entry {
	return broker.Entry{At: time.Unix(1_800_000_000+int64(i), 0).UTC(), By: "admin", Op: "name", Name: fmt.Sprint(i)}
}

// change writes the i-th of a row of changes: it adds a fact, replaces one, or deletes
// one. It keeps want as the facts should be.
func change(t *testing.T, s *boltstore.Store, want map[string]string, i int) {
	t.Helper()
	key, value := fmt.Sprintf("name/n%d", i%50), fmt.Sprintf("value %d %*d", i, i%900, i)
	if i%7 == 6 {
		value = ""
	}
	if err := s.Write(entry(i), broker.Fact{Key: key, Value: []byte(value)}); err != nil {
		t.Fatalf("write %d: %v", i, err)
	}
	if want[key] = value; value == "" {
		delete(want, key)
	}
}

func load(t *testing.T, s *boltstore.Store) map[string]string {
	t.Helper()
	all, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range all {
		got[f.Key] = string(f.Value)
	}
	return got
}

func logOf(t *testing.T, s *boltstore.Store, after uint64) []broker.Entry {
	t.Helper()
	lines, err := s.Log(after, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// What was written is there after the file was opened again, and the log has a line for
// each change.
func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", boltstore.FileName)
	want := make(map[string]string)
	const rounds, each = 5, 60
	for round := range rounds {
		s := open(t, path)
		if got := load(t, s); !maps.Equal(got, want) {
			t.Fatalf("round %d: got %d facts, want %d", round, len(got), len(want))
		}
		for i := range each {
			change(t, s, want, round*each+i)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, path)
	lines := logOf(t, s, 0)
	if len(lines) != rounds*each {
		t.Fatalf("got %d lines, want %d", len(lines), rounds*each)
	}
	for i, e := range lines {
		want := entry(i)
		if want.N = uint64(i) + 1; e != want {
			t.Fatalf("line %d: got %+v, want %+v", i, e, want)
		}
	}
	if got, err := s.Log(10, 3); err != nil || len(got) != 3 || got[0].N != 11 {
		t.Errorf("after 10: got %+v (%v), want lines 11 to 13", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %v (%v), want 0600", info.Mode(), err)
	}
}

// Lines of the log that are older than 400 days go, and the newest one stays.
func TestOldLines(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), boltstore.FileName))
	for i := range 20 {
		if err := s.Write(entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	late := entry(0)
	late.At = late.At.Add(401 * 24 * time.Hour)
	for _, want := range []int{20 - 16 + 1, 2, 3} {
		if err := s.Write(late); err != nil {
			t.Fatal(err)
		}
		if got := logOf(t, s, 0); len(got) != want {
			t.Errorf("got %d lines, want %d", len(got), want)
		}
	}
}

// filled writes a file and returns its bytes.
func filled(t *testing.T) (path string, text []byte, facts map[string]string, lines []broker.Entry) {
	t.Helper()
	path = filepath.Join(t.TempDir(), boltstore.FileName)
	s := open(t, path)
	facts = make(map[string]string)
	for i := range 80 {
		change(t, s, facts, i)
	}
	lines = logOf(t, s, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, text, facts, lines
}

// A byte that is wrong anywhere is noticed, or changes nothing: it lies in a page that is
// free.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	path, text, facts, lines := filled(t)
	found := 0
	try := func(at int, by byte) {
		text[at] ^= by
		defer func() { text[at] ^= by }()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := boltstore.Open(path)
		if err != nil {
			if found++; !errors.Is(err, boltstore.ErrDamaged) || proto.CodeOf(err) != proto.Config {
				t.Errorf("byte %d: got %v (%v), want that the file is damaged", at, err, proto.CodeOf(err))
			}
			if now, _ := os.ReadFile(path); !slices.Equal(now, text) {
				t.Fatalf("byte %d: the damaged file was changed", at)
			}
			return
		}
		defer s.Close()
		if got := load(t, s); !maps.Equal(got, facts) {
			t.Errorf("byte %d: other facts", at)
		}
		if got := logOf(t, s, 0); !slices.Equal(got, lines) {
			t.Errorf("byte %d: another log", at)
		}
	}
	// The heads of all pages, and a sample of the rest.
	page := os.Getpagesize()
	for at := range text {
		if at%page < 80 && at%3 == 0 {
			try(at, 1<<rand.N(8))
		}
	}
	for range 1500 {
		try(rand.N(len(text)), byte(1+rand.N(255)))
	}
	if found < 100 {
		t.Errorf("damage was found %d times only", found)
	}
}

// A file that was cut is damaged, wherever that was.
func TestTorn(t *testing.T) {
	t.Parallel()
	path, text, facts, _ := filled(t)
	whole := 0
	for at := 0; at < len(text); at += 509 {
		if err := os.WriteFile(path, text[:at], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := boltstore.Open(path)
		if err == nil { // what was cut off was never used
			whole++
			if got := load(t, s); !maps.Equal(got, facts) {
				t.Errorf("cut at %d: other facts", at)
			}
			_ = s.Close()
			continue
		}
		xtest.WantCode(t, fmt.Sprintf("cut at %d", at), err, proto.Config)
		if !errors.Is(err, boltstore.ErrDamaged) {
			t.Errorf("cut at %d: got %v", at, err)
		}
	}
	for at := range 8 {
		for i := range 4096 { // a page that was never written
			if at*4096+i < len(text) {
				text[at*4096+i] = 0
			}
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := boltstore.Open(path)
		xtest.WantCode(t, fmt.Sprintf("page %d of zeros", at), err, proto.Config)
	}
	if whole > len(text)/509/2 {
		t.Errorf("%d of %d cuts were not noticed", whole, len(text)/509)
	}
}
