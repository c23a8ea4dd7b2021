//go:build unix

package boltstore_test

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mesh/proto"
	"mesh/proto/hub/boltstore"
	"mesh/proto/hub/broker"
	"mesh/proto/xtest"
)

// childEnv has what the test binary is to do as a child: its role and a path.
const childEnv = "BOLTSTORE_TEST_CHILD"

func TestMain(m *testing.M) {
	role, path, isChild := strings.Cut(os.Getenv(childEnv), " ")
	if !isChild {
		os.Exit(m.Run())
	}
	if err := map[string]func(string) error{"write": childWrites, "ten": childTen, "full": childFills}[role](path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+role+" "+path)
	return cmd
}

// fact returns the i-th change: see change.
func fact(i int) broker.Fact {
	f := broker.Fact{Key: fmt.Sprintf("name/n%d", i%50), Value: fmt.Appendf(nil, "value %d %*d", i, i%900, i)}
	if i%7 == 6 {
		f.Value = nil
	}
	return f
}

// childWrites goes on with the row of changes until it is killed. It prints the number of
// each one that was answered.
func childWrites(path string) error {
	s, err := boltstore.Open(path)
	if err != nil {
		return err
	}
	lines, err := s.Log(0, 1<<20)
	if err != nil {
		return err
	}
	for i := len(lines); ; i++ {
		if err := s.Write(entry(i), fact(i)); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// A process that is killed loses no change that was answered, and leaves none that was
// not asked for, wherever it was.
func TestKilled(t *testing.T) {
	t.Parallel()
	points := 100
	switch {
	case testing.Short():
		points = 10
	case os.Getenv("TORTURE") == "full": // see scripts/torture
		points = 1000
	}
	path := filepath.Join(t.TempDir(), boltstore.FileName)
	want, done := make(map[string]string), 0
	for point := range points {
		answered := killOne(t, path, point)
		s, err := boltstore.Open(path)
		if err != nil {
			t.Fatalf("point %d: %v", point, err)
		}
		lines := logOf(t, s, 0)
		if len(lines) < max(done, answered) || len(lines) > max(done, answered)+1 {
			t.Fatalf("point %d: %d changes in the log, and %d were answered", point, len(lines), max(done, answered))
		}
		for ; done < len(lines); done++ {
			f := fact(done)
			if want[f.Key] = string(f.Value); f.Value == nil {
				delete(want, f.Key)
			}
		}
		if got := load(t, s); !maps.Equal(got, want) {
			t.Fatalf("point %d: got %d facts, want %d", point, len(got), len(want))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if done < points {
		t.Errorf("only %d changes were made", done)
	}
	t.Logf("torture: hub.db: killed at %d points, %d changes, none lost, none that was not asked for", points, done)
}

// A change is answered once it is on the disk: what was written of it was synced before.
// A test that kills a process cannot show that, since the kernel has the data.
func TestSynced(t *testing.T) {
	t.Parallel()
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("no strace, which shows system calls: %v", err)
	}
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	cmd := child(t, "ten", filepath.Join(dir, boltstore.FileName))
	cmd.Path, cmd.Args = mustLook(t, "strace"), []string{"strace", "-f", "-o", trace, "-e", "trace=write,pwrite64,fsync,fdatasync,msync", cmd.Path}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`^\d+ +(\w+)\((\d+)[,)]`)
	answers, unsynced, synced := 0, false, false
	for line := range strings.Lines(string(text)) {
		m := call.FindStringSubmatch(line)
		switch {
		case m == nil:
		case m[1] == "pwrite64":
			unsynced = true
		case m[1] == "fsync" || m[1] == "fdatasync":
			synced, unsynced = synced || unsynced, false
		case m[1] == "write" && m[2] == "1":
			if answers++; unsynced || !synced {
				t.Errorf("change %d was answered before it was synced", answers)
			}
			synced = false
		}
	}
	if answers != 10 {
		t.Errorf("got %d answers in the trace, want 10", answers)
	}
}

func mustLook(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// childTen makes ten changes, and prints the number of each one that was answered.
func childTen(path string) error {
	s, err := boltstore.Open(path)
	if err != nil {
		return err
	}
	for i := range 10 {
		if err := s.Write(entry(i), fact(i)); err != nil {
			return err
		}
		fmt.Println(i)
	}
	return s.Close()
}

// killOne kills a child that writes, and returns how many changes were answered in all.
// At every tenth point the child may not have opened the file yet.
func killOne(t *testing.T, path string, point int) (answered int) {
	t.Helper()
	cmd := child(t, "write", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if point%10 != 0 && lines.Scan() {
		answered = number(t, lines.Text())
	}
	kill := time.AfterFunc(rand.N(15*time.Millisecond), func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	for lines.Scan() {
		answered = number(t, lines.Text())
	}
	_ = cmd.Wait() // it was killed
	return answered
}

func number(t *testing.T, line string) int {
	t.Helper()
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatalf("the child says: %s", line)
	}
	return n + 1
}

// Another process can't open the file while one has it open.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), boltstore.FileName)
	cmd := child(t, "write", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child did nothing")
	}
	_, err = boltstore.Open(path)
	if !errors.Is(err, boltstore.ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want that another process uses it", err)
	}
	xtest.WantCode(t, "in use", err, proto.IO)
	for range 5 {
		if !lines.Scan() { // it goes on
			t.Fatal("the first process ended")
		}
	}
}

// A change that the disk has no place for is refused, and what was there stays readable.
// Once there is place, changes go on.
func TestFull(t *testing.T) {
	t.Parallel()
	cmd := child(t, "full", filepath.Join(t.TempDir(), boltstore.FileName))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// childFills limits the size of the files that this process may write, which acts as a
// full disk does.
func childFills(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := boltstore.Open(path)
	if err != nil {
		return err
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	limit := old
	limit.Cur = 200 << 10
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	add := func(i int) error {
		return s.Write(entry(i), broker.Fact{Key: fmt.Sprintf("name/n%d", i), Value: make([]byte, 3000)})
	}
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = add(n)
	}
	n-- // the one that was refused
	if proto.CodeOf(err) != proto.Space || n < 5 {
		return fmt.Errorf("after %d changes: got %w (%v), want code %v", n, err, proto.CodeOf(err), proto.Space)
	}
	for range 3 {
		if err := add(n); proto.CodeOf(err) != proto.Space {
			return fmt.Errorf("once more: got %w", err)
		}
	}
	have := func(want int) error {
		facts, err := s.Load()
		if err == nil && len(facts) != want {
			err = fmt.Errorf("got %d facts, want %d", len(facts), want)
		}
		return err
	}
	if err := have(n); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if err := errors.Join(add(n), have(n+1), s.Close()); err != nil {
		return err
	}
	if s, err = boltstore.Open(path); err != nil {
		return err
	}
	return errors.Join(have(n+1), s.Close())
}
