//go:build unix

package files_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mesh/pipe/digest"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// arrivals notes what a receiver announces, and wants each to exist by then.
func arrivals(t *testing.T, to string, got *[]string) func(files.Arrival) error {
	return func(a files.Arrival) error {
		if info, err := os.Lstat(filepath.Join(to, a.Name)); err != nil || info.IsDir() != a.Folder {
			t.Errorf("%s is not there: %v", a.Name, err)
		}
		sum := "none"
		if a.Digest != nil {
			sum = a.Digest.String()[:8]
		}
		*got = append(*got, fmt.Sprintf("%s %d %s %d", a.Name, a.Bytes, sum, a.Stored))
		return nil
	}
}

func short(n int) string { return digest.Sum(xtest.Random(n)).String()[:8] }

// What the sender named is announced once it is there: what arrived now and what was
// there already. What is not complete is not announced.
func TestArrived(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	for name, size := range map[string]int{"a": 0, "b": small, "c": large, "d/x": 10, "d/sub/y": large, "e/x": 3, "e/z": 4, "f": 7} {
		write(t, filepath.Join(from, name), xtest.Random(size))
	}
	if err := os.Symlink("a", filepath.Join(from, "d", "link")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(to, "f"), []byte("another"+"one"))
	write(t, filepath.Join(to, "e", "z"), []byte("another one"))
	var names []string
	for _, n := range []string{"a", "b", "c", "d", "e", "f"} {
		names = append(names, filepath.Join(from, n))
	}
	for _, tt := range []struct {
		rename bool
		code   proto.Code
		want   []string
	}{
		{false, proto.Unsafe, []string{
			"a 0 " + short(0) + " 1", "b 65536 " + short(small) + " 1", "c 65537 " + short(large) + " 1", "d 65547 none 3",
		}},
		{true, proto.OK, []string{
			"a 0 " + short(0) + " 0", "b 65536 " + short(small) + " 0", "c 65537 " + short(large) + " 0", "d 65547 none 0",
			"e 7 none 1", "f (2) 7 " + short(7) + " 1",
		}},
	} {
		var got []string
		r := run{recv: files.ReceiveOptions{Rename: tt.rename, Arrived: arrivals(t, to, &got)}}
		r.transfer(t, to, names...)
		r.wantCodes(t, tt.code, tt.code)
		slices.Sort(got) // what was there already is announced when it is found
		if !slices.Equal(got, tt.want) {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

// Many files are announced once each. A transfer that breaks off has announced those
// that are there.
func TestArrivedMany(t *testing.T) {
	t.Parallel()
	const n = 3000
	var frames []byte
	for i := range n {
		name := fmt.Sprintf("f%05d", i)
		frames = append(frames, frame(&wire.Entry{ID: int64(2*i + 1), Path: name, Kind: wire.EntryFolder, Mode: 0o755})...)
		frames = append(frames, now(int64(2*i+2), name+"/x", name)...)
	}
	to := t.TempDir()
	var got []string
	_, err := lie(t, to, files.ReceiveOptions{Arrived: arrivals(t, to, &got)}, frames)
	xtest.WantCode(t, "a transfer without its end", err, proto.Truncated)
	if len(got) != n-1 { // the last folder was not left
		t.Errorf("got %d arrivals, want %d", len(got), n-1)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != n-1 {
		t.Error("some were told twice")
	}
}

// An error of Arrived ends the transfer at both ends.
func TestArrivedFails(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "a"), t.TempDir()
	write(t, from, []byte("a"))
	calls := 0
	r := run{recv: files.ReceiveOptions{Arrived: func(files.Arrival) error {
		calls++
		return proto.Errorf(proto.Timeout, "stopped")
	}}}
	r.transfer(t, to, from)
	if calls != 1 || proto.CodeOf(r.recvErr) != proto.Timeout || r.sendErr == nil {
		t.Errorf("got %d calls, %v and %v", calls, r.recvErr, r.sendErr)
	}
	if errors.Is(r.sendErr, io.EOF) {
		t.Errorf("got %v", r.sendErr)
	}
}

// CreateNumbered takes the next name that is free at Commit.
func TestCreateNumbered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all []*files.Pending
	for i := range 3 {
		p, err := files.CreateNumbered(filepath.Join(dir, "dump.tar"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Abort()
		fmt.Fprint(p, i)
		all = append(all, p)
	}
	for i, p := range all {
		if err := p.Commit(); err != nil {
			t.Fatal(err)
		}
		if want := []string{"dump.tar", "dump (2).tar", "dump (3).tar"}[i]; p.Base() != want {
			t.Errorf("got %s, want %s", p.Base(), want)
		}
	}
	wantFiles(t, dir, map[string]string{"dump.tar": "0", "dump (2).tar": "1", "dump (3).tar": "2"})
}
