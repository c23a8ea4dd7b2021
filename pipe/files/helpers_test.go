package files_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
)

// run is one transfer over pipes in memory, and its result.
type run struct {
	send files.SendOptions
	recv files.ReceiveOptions

	sent, received       files.Summary
	sendErr, recvErr     error
	there, back          int64 // bytes on the two pipes
	sendLines, recvLines []string
}

// counted counts what is written.
type counted struct {
	w io.Writer
	n *int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	*c.n += int64(n)
	return n, err
}

// ledgers is the ledger of all tests that name none.
var ledgers *files.Ledger

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ledgers")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		ledgers = files.NewLedger(dir)
		return m.Run()
	}())
}

// transfer sends files and folders to a folder.
func (r *run) transfer(t testing.TB, to string, names ...string) {
	t.Helper()
	root := openRoot(t, to)
	if r.recv.Ledger == nil {
		r.recv.Ledger = ledgers
	}
	r.exchange(t, func(ctx context.Context, from io.Reader, back io.Writer) (files.Summary, error) {
		return files.Receive(ctx, root, from, back, r.recv)
	}, names...)
}

// collect sends files and folders to an archive.
func (r *run) collect(t testing.TB, format string, out io.Writer, names ...string) {
	t.Helper()
	r.exchange(t, func(ctx context.Context, from io.Reader, back io.Writer) (files.Summary, error) {
		return files.ReceiveArchive(ctx, format, out, nil, from, back, r.recv)
	}, names...)
}

func (r *run) exchange(t testing.TB, receive func(context.Context, io.Reader, io.Writer) (files.Summary, error), names ...string) {
	t.Helper()
	there, in := io.Pipe()
	back, out := io.Pipe()
	var mu sync.Mutex
	note := func(lines *[]string) func(string, error) {
		return func(path string, err error) {
			mu.Lock()
			defer mu.Unlock()
			*lines = append(*lines, fmt.Sprintf("%s: %v: %v", path, proto.CodeOf(err), err))
		}
	}
	r.send.Report, r.recv.Report = note(&r.sendLines), note(&r.recvLines)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.received, r.recvErr = receive(ctx, there, counted{out, &r.back})
		there.CloseWithError(errOver)
		out.Close()
	}()
	r.sent, r.sendErr = files.Send(ctx, names, back, counted{in, &r.there}, r.send)
	in.Close()
	<-done
	back.Close()
}

var errOver = proto.Errorf(proto.Truncated, "the other end is gone")

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// wantCodes compares the codes with which both ends ended.
func (r *run) wantCodes(t testing.TB, send, recv proto.Code) {
	t.Helper()
	if got := proto.CodeOf(r.sendErr); got != send {
		t.Errorf("sender ended with %v (%v), want %v", got, r.sendErr, send)
	}
	if got := proto.CodeOf(r.recvErr); got != recv {
		t.Errorf("receiver ended with %v (%v), want %v", got, r.recvErr, recv)
	}
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}
