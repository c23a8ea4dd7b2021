//go:build unix

package disk_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mesh/pipe/files/disk"
)

// What is written is what is read, however it is cut into pieces, and zeros take no room.
func TestHoles(t *testing.T) {
	t.Parallel()
	const block = 16 << 10
	data := bytes.Repeat([]byte("x"), block)
	zeros := make([]byte, 8*block)
	for i, content := range [][]byte{
		nil, zeros, zeros[:1], zeros[:block+1], data, bytes.Join([][]byte{zeros, data[:1]}, nil), bytes.Join([][]byte{data[:1], zeros}, nil),
		bytes.Join([][]byte{data, zeros, data, zeros, data[:5], zeros[:block+7], data[:1]}, nil),
	} {
		for _, piece := range []int{1 << 10, block - 1, block, block + 1, 1 << 20} {
			t.Run(fmt.Sprint(i, " in pieces of ", piece), func(t *testing.T) {
				dir := t.TempDir()
				f, err := disk.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				temp, err := f.CreateRandomTemp(0o644)
				if err != nil {
					t.Fatal(err)
				}
				for rest := content; len(rest) > 0; {
					n, err := temp.Write(rest[:min(piece, len(rest))])
					if err != nil || n != min(piece, len(rest)) {
						t.Fatalf("wrote %d, %v", n, err)
					}
					rest = rest[n:]
					if size, err := temp.Size(); err != nil || size != int64(len(content)-len(rest)) {
						t.Fatalf("got size %d, %v, want %d", size, err, len(content)-len(rest))
					}
				}
				if err := temp.Publish("f"); err != nil {
					t.Fatal(err)
				}
				temp.Close()
				if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || !bytes.Equal(got, content) {
					t.Errorf("got %d bytes, %v, want %d", len(got), err, len(content))
				}
			})
		}
	}
}

// A gigabyte of zeros with a little data takes little room, and a file of more than
// 2 GiB can be opened in every way, also by a process of 32 bits.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	name := disk.RandomTempName()
	temp, err := f.CreateTemp(name, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	const size = 3 << 30
	if err := temp.Truncate(size); err != nil {
		t.Skipf("no file of 3 GiB: %v", err)
	}
	end := append(make([]byte, 1<<20), "end"...)
	if _, err := temp.Write(end); err != nil {
		t.Fatal(err)
	}
	temp.Close()
	again, err := f.ReopenTemp(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Sync(); err != nil {
		t.Error(err)
	}
	if err := again.Publish("f"); err != nil {
		t.Fatal(err)
	}
	again.Close()
	info, err := f.Lstat("f")
	if err != nil || info.Size() != size+int64(len(end)) {
		t.Fatalf("got %v, %v", info, err)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Blocks > 4096 {
		t.Errorf("it takes %d blocks", s.Blocks)
	}
	same, err := f.OpenSame("f", info)
	if err != nil {
		t.Fatal(err)
	}
	same.Close()
	file, err := f.OpenUnchanged("f", info)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := make([]byte, 3)
	if _, err := file.ReadAt(got, size+1<<20); err != nil && err != io.EOF || string(got) != "end" {
		t.Errorf("got %q, %v", got, err)
	}
}
