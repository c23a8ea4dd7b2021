package pipe_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mesh/pipe"
)

// blocking returns a pipe as a shell hands it over: in blocking mode.
func blocking(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestPollable(t *testing.T) {
	t.Parallel()
	r, w := blocking(t)
	pr, pw := pipe.Pollable(r, os.O_RDONLY), pipe.Pollable(w, os.O_WRONLY)
	if pr == r || pw == w {
		t.Fatal("got the same files back, want new ones for a pipe")
	}
	defer pr.Close()
	if err := pr.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Errorf("a read can't be interrupted: %v", err)
	}
	if _, err := pr.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read of an empty pipe: got %v, want a deadline", err)
	}
	for _, f := range []*os.File{r, w} {
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("%s: got flags %#x (%v), want it still blocking: others share it", f.Name(), flags, err)
		}
	}
	if _, err := pw.WriteString("through"); err != nil {
		t.Fatal(err)
	}
	pw.Close()
	w.Close()
	if err := pr.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(pr); string(got) != "through" || err != nil {
		t.Errorf("got %q (%v), want all that was written, then the end", got, err)
	}
}

func TestPollableBrokenPipe(t *testing.T) {
	t.Parallel()
	r, w := blocking(t)
	pw := pipe.Pollable(w, os.O_WRONLY)
	defer pw.Close()
	r.Close()
	if _, err := pw.WriteString("x"); !errors.Is(err, unix.EPIPE) {
		t.Errorf("write without a reader: got %v, want EPIPE", err)
	}
}

func TestPollableLeavesOthers(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := pipe.Pollable(f, os.O_WRONLY); got != f {
		t.Error("a regular file was opened again: its offset would be another")
	}
}
