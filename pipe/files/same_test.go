package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mesh/pipe/digest"
	"mesh/pipe/files"
	"mesh/proto"
)

func TestSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, there, sent string
		want              proto.Code
	}{
		{"nothing", "", "", 0},
		{"the same", "abcdef", "abcdef", 0},
		{"more in it", "abcdefg", "abcdef", proto.Unsafe},
		{"less in it", "abcde", "abcdef", proto.Unsafe},
		{"nothing in it", "", "a", proto.Unsafe},
		{"another", "abcdef", "abcdEf", proto.Unsafe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "f")
			write(t, name, []byte(tt.there))
			s, err := files.OpenSame(name, files.NewLedger(t.TempDir()), "alice")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			sum := digest.New()
			_, _ = sum.Write([]byte(tt.sent))
			err = s.Finish(int64(len(tt.sent)), sum.Sum())
			if got := proto.CodeOf(err); got != tt.want {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
			if got := read(t, name); got != tt.there {
				t.Errorf("it holds %q now, want %q", got, tt.there)
			}
		})
	}
	if _, err := files.OpenSame(t.TempDir(), files.NewLedger(t.TempDir()), "alice"); proto.CodeOf(err) != proto.Unsafe {
		t.Errorf("a folder: got %v, want %v", err, proto.Unsafe)
	}
}

// A pipe that is stored under a name of its own has the same rule: the peer that has
// stored it may repeat it, all others together have one guess. So it is when the file was changed and has its
// time of before.
func TestOneGuessAtPipe(t *testing.T) {
	t.Parallel()
	name, dir := filepath.Join(t.TempDir(), "backup"), t.TempDir()
	p, err := files.Create(name, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	if _, err := p.Write([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := p.Note(files.NewLedger(dir), "alice", *sum("1234")); err != nil {
		t.Fatal(err)
	}
	send := func(owner, holds string) proto.Code {
		s, err := files.OpenSame(name, files.NewLedger(dir), owner)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return proto.CodeOf(s.Finish(int64(len(holds)), *sum(holds)))
	}
	type step struct {
		owner, holds string
		want         proto.Code
	}
	check := func(steps ...step) {
		t.Helper()
		for i, s := range steps {
			if got := send(s.owner, s.holds); got != s.want {
				t.Errorf("step %d: %s sends %q: got %v, want %v", i, s.owner, s.holds, got, s.want)
			}
		}
	}
	check(step{"bob", "1234", proto.OK}, step{"alice", "4321", proto.Unsafe}, step{"alice", "12345", proto.Unsafe},
		step{"mallory", "4321", proto.Unsafe}, step{"mallory", "1234", proto.Unsafe}, step{"carol", "1234", proto.Unsafe},
		step{"alice", "1234", proto.OK}, step{"bob", "1234", proto.OK})
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	write(t, name, []byte("5678"))
	if err := os.Chtimes(name, time.Time{}, info.ModTime().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	check(step{"alice", "1234", proto.Unsafe}, step{"alice", "5678", proto.Unsafe})
	write(t, name, []byte("7777"))
	if err := os.Chtimes(name, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	check(step{"alice", "0000", proto.Unsafe}, step{"alice", "7777", proto.Unsafe}, step{"bob", "7777", proto.Unsafe})
}

// Of many peers that guess at the same time, none hears that it is right behind one that
// was wrong.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	name, ledger := filepath.Join(t.TempDir(), "pin"), files.NewLedger(t.TempDir())
	write(t, name, []byte("0042"))
	var right, wrong atomic.Int64
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		s, err := files.OpenSame(name, ledger, fmt.Sprint("mallory", i))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		all.Go(func() {
			<-start
			guess := fmt.Sprintf("%04d", i)
			if s.Finish(4, *sum(guess)) == nil {
				right.Add(1)
			} else {
				wrong.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	if right.Load() > 1 || wrong.Load() < 63 {
		t.Errorf("%d are right and %d wrong, want at most one that is right", right.Load(), wrong.Load())
	}
	s, err := files.OpenSame(name, ledger, "carol")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := proto.CodeOf(s.Finish(4, *sum("0042"))); got != proto.Unsafe {
		t.Errorf("the next: got %v, want %v", got, proto.Unsafe)
	}
}
