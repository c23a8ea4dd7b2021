//go:build unix

package files_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
)

// breakOff announces a large file, sends the beginning of it, and is gone.
func breakOff(t *testing.T, to, owner, path string, size int, o files.ReceiveOptions) {
	t.Helper()
	there, in := io.Pipe()
	answers, out := io.Pipe()
	go func() { _, _ = io.Copy(io.Discard, answers) }()
	o.Owner = owner
	done := make(chan error)
	go func() {
		_, err := files.Receive(context.Background(), openRoot(t, to), there, out, o)
		there.CloseWithError(errOver)
		done <- err
	}()
	body := strings.Repeat("x", size)
	_, _ = in.Write(join(folder(1, "d"), large0(2, "d/"+path, int64(size)+1, true), data(body)))
	in.Close()
	if err := <-done; proto.CodeOf(err) != proto.Truncated {
		t.Errorf("got %v, want %v", err, proto.Truncated)
	}
	out.Close()
}

// parts returns how many parts there are below a folder, and their bytes.
func parts(t *testing.T, dir string) (n int, bytes int64) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "d", ".mesh-*.part"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	return len(paths), bytes
}

// What broken deliveries of one owner leave is no more than one delivery may be. Nothing
// of another owner goes.
func TestPartsOfOwner(t *testing.T) {
	t.Parallel()
	const size, most = 200_000, 500_000
	to := t.TempDir()
	breakOff(t, to, "alice", "of alice", size, files.ReceiveOptions{MaxBytes: most})
	for i := range 6 {
		breakOff(t, to, "bob", fmt.Sprint("f", i), size, files.ReceiveOptions{MaxBytes: most})
		want := min(i+1, most/size) + 1
		if n, bytes := parts(t, to); n != want || bytes != int64(n)*size {
			t.Errorf("after %d: got %d parts of %d bytes, want %d", i+1, n, bytes, want)
		}
	}
	for i := range 3 { // no limit
		breakOff(t, to, "carol", fmt.Sprint("f", i), size, files.ReceiveOptions{})
	}
	if n, _ := parts(t, to); n != 6 {
		t.Errorf("got %d parts, want 6", n)
	}
	if err := files.CollectOld(t.Context(), openRoot(t, to)); err != nil {
		t.Error(err)
	}
	if n, _ := parts(t, to); n != 6 {
		t.Errorf("got %d parts, want 6: none is a day old", n)
	}
	if err := files.Collect(t.Context(), openRoot(t, to)); err != nil {
		t.Error(err)
	}
	if n, _ := parts(t, to); n != 0 {
		t.Errorf("got %d parts, want none", n)
	}
}

// A time before 1970, or more than a day ahead, is not taken.
func TestImplausibleTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for at, taken := range map[time.Time]bool{
		time.Unix(-1, 0): false, time.Unix(-1<<31, 0): false, time.Unix(0, 0): true, time.Unix(1, 0): true,
		now.Add(23 * time.Hour): true, now.Add(25 * time.Hour): false, now.Add(100 * 365 * 24 * time.Hour): false,
	} {
		tree, to := folderTree(t), t.TempDir()
		names := []string{"b/small", "b/large", "b"}
		for _, name := range names {
			path := filepath.Join(tree, name)
			if err := errors.Join(os.Chtimes(path, at, at)); err != nil {
				t.Fatal(err)
			}
		}
		var r run
		r.transfer(t, to, tree)
		r.wantCodes(t, proto.OK, proto.OK)
		check := func(name string, got, at time.Time) {
			if taken && !got.Equal(at) || !taken && (got.Before(now.Add(-time.Minute)) || got.After(time.Now().Add(time.Minute))) {
				t.Errorf("%s of %v: got %v, want it taken: %v", name, at, got, taken)
			}
		}
		for _, name := range names {
			info, err := os.Stat(filepath.Join(to, "t", name))
			if err != nil {
				t.Fatal(err)
			}
			check(name, info.ModTime(), at)
		}
		inTar, inZip := timesInArchives(t, tree)
		for _, name := range names {
			check("in a tar: "+name, inTar["t/"+name], at.Truncate(time.Second))
			if !taken || at.Year() >= 1980 { // a zip has no earlier time
				check("in a zip: "+name, inZip["t/"+name], at.Truncate(time.Second))
			}
		}
	}
}

// timesInArchives sends a tree to archives, and returns the times of the members, in
// whole seconds.
func timesInArchives(t *testing.T, tree string) (inTar, inZip map[string]time.Time) {
	t.Helper()
	inTar, inZip = make(map[string]time.Time), make(map[string]time.Time)
	for _, format := range []string{files.Tar, files.Zip} {
		var out bytes.Buffer
		var r run
		r.collect(t, format, &out, tree)
		r.wantCodes(t, proto.OK, proto.OK)
		if format == files.Zip {
			z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range z.File {
				inZip[strings.TrimSuffix(f.Name, "/")] = f.Modified.Truncate(time.Second)
			}
			continue
		}
		for in := tar.NewReader(&out); ; {
			h, err := in.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			inTar[strings.TrimSuffix(h.Name, "/")] = h.ModTime.Truncate(time.Second)
		}
	}
	return inTar, inZip
}
