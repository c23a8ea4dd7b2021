//go:build unix

package files_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// hook calls a function once, after left bytes.
type hook struct {
	w    io.Writer
	left int
	call func()
}

func (h *hook) Write(p []byte) (int, error) {
	if h.left -= len(p); h.left <= 0 && h.call != nil {
		h.call()
		h.call = nil
	}
	return h.w.Write(p)
}

// A file that changes while it is sent is not stored; the one after it is.
func TestChanged(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	for _, tt := range []struct {
		name   string
		change func(path string) error
	}{
		{"longer", func(path string) error { return os.Truncate(path, size+1) }},
		{"shorter", func(path string) error { return os.Truncate(path, size-1) }},
		{"other bytes", func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("other"), size-5)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			from, to := filepath.Join(t.TempDir(), "d"), t.TempDir()
			write(t, filepath.Join(from, "a"), xtest.Random(size))
			write(t, filepath.Join(from, "b"), xtest.Random(10))
			past := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(from, "a"), past, past); err != nil {
				t.Fatal(err)
			}
			there, in := io.Pipe()
			back, out := io.Pipe()
			done := make(chan error)
			go func() {
				_, err := files.Receive(context.Background(), openRoot(t, to), there, out, files.ReceiveOptions{})
				there.CloseWithError(errOver)
				out.Close()
				done <- err
			}()
			_, err := files.Send(context.Background(), []string{from}, back, &hook{in, 1 << 20, func() {
				if err := tt.change(filepath.Join(from, "a")); err != nil {
					t.Error(err)
				}
			}}, files.SendOptions{})
			in.Close()
			if got := proto.CodeOf(err); got != proto.Changed {
				t.Errorf("sender ended with %v (%v), want %v", got, err, proto.Changed)
			}
			if err := <-done; proto.CodeOf(err) != proto.Changed {
				t.Errorf("receiver ended with %v, want %v", err, proto.Changed)
			}
			names, _ := os.ReadDir(filepath.Join(to, "d"))
			if len(names) != 1 || names[0].Name() != "b" {
				t.Errorf("got %v, want b alone", names)
			}
		})
	}
}

// A link takes the place of a folder while that is filled. Nothing is written where the
// link leads to.
func TestSwapped(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("x"), proto.SmallFileBytes+1)
	for _, waits := range []bool{false, true} {
		to, outside := t.TempDir(), t.TempDir()
		there, in := io.Pipe()
		done := make(chan error)
		answers, out := io.Pipe()
		go func() { _, _ = io.Copy(io.Discard, answers) }()
		go func() {
			_, err := files.Receive(context.Background(), openRoot(t, to), there, out, files.ReceiveOptions{})
			there.CloseWithError(errOver)
			done <- err
		}()
		put := func(b []byte) { _, _ = in.Write(b) }
		put(join(folder(1, "d"), folder(2, "d/e"), now(3, "d/e/a", "x"), large0(4, "d/e/b", int64(len(big)), !waits)))
		if waits { // the folder is left, and opened again when the data comes
			put(large0(5, "z", int64(len(big)), false))
		}
		poll(t, func() bool {
			_, err := os.Stat(filepath.Join(to, "d", "e", "a"))
			return err == nil
		})
		if err := os.Rename(filepath.Join(to, "d"), filepath.Join(to, "moved")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(to, "d")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(outside, "e"), 0o755); err != nil {
			t.Fatal(err)
		}
		if waits {
			put(frame(&wire.From{ID: 4}))
		}
		put(join(data(string(big)), frame(&wire.End{ID: 4, Digest: sum(string(big))}), now(5, "d/e/c", "x"), frame(&wire.Total{Entries: 5})))
		in.Close()
		err := <-done
		if waits && proto.CodeOf(err) != proto.Unsafe {
			t.Errorf("got %v, want %v", err, proto.Unsafe)
		}
		if names, _ := os.ReadDir(filepath.Join(outside, "e")); len(names) > 0 {
			t.Errorf("got %v outside", names)
		}
		out.Close()
	}
}

func poll(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}
