//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
)

// delivery is a folder to send, a folder to store it in, and the files expected there.
type delivery struct {
	dir, from, in string
	target        string // of mesh-recv
	holds         map[string][]byte
	ready         func() // called when mesh-recv waits; may be nil
}

func newDelivery(t *testing.T) *delivery {
	t.Helper()
	d := &delivery{dir: t.TempDir(), from: t.TempDir(), target: "-C in", holds: map[string][]byte{}}
	d.in = filepath.Join(d.dir, "in")
	if err := os.Mkdir(d.in, 0o755); err != nil {
		t.Fatal(err)
	}
	return d
}

// mount mounts a small disk at the folder to store in.
func (d *delivery) mount(t *testing.T, options string) {
	t.Helper()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", d.in).CombinedOutput(); err != nil {
		t.Skipf("no small disk to be had: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", d.in).Run() })
}

func (d *delivery) put(t *testing.T, path string, size int) {
	t.Helper()
	d.holds[path] = bytes.Repeat([]byte{byte(size), 1}, size/2)
	if err := firstOf(os.MkdirAll(filepath.Join(d.from, filepath.Dir(path)), 0o755), os.WriteFile(filepath.Join(d.from, path), d.holds[path], 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (d *delivery) remove(t *testing.T, path string) {
	t.Helper()
	delete(d.holds, path)
	if err := os.Remove(filepath.Join(d.from, path)); err != nil {
		t.Fatal(err)
	}
}

// fails sends the tree to a mesh-recv that a shell starts after running some commands.
// Both ends must fail with these codes and leave nothing unfinished behind. It returns
// the number of files that were stored.
func (d *delivery) fails(t *testing.T, before string, want proto.Code) int {
	t.Helper()
	id := begin(t, d.dir, nil, "mesh-token", "id") // a key is made durable, too
	if code := id.code(t); code != proto.OK {
		t.Fatalf("ended with %v", code)
	}
	events := filepath.Join(d.dir, "ev")
	_ = os.Remove(events)
	recv := begin(t, d.dir, nil, "sh", "-c", before+" mesh-recv --listen 127.0.0.1:0 --events ev "+d.target)
	var e struct{ Token string }
	poll(t, "a token", func() bool {
		line, _ := os.ReadFile(events)
		return json.NewDecoder(bytes.NewReader(line)).Decode(&e) == nil && e.Token != ""
	})
	if d.ready != nil {
		d.ready()
	}
	cat := begin(t, d.from, nil, "mesh-cat", e.Token, "tree")
	for _, p := range []*aTool{recv, cat} {
		code := p.code(t)
		if text := p.stderr.String(); code != want || strings.Contains(text, "goroutine") || !strings.Contains(text, ": error: ") {
			t.Errorf("%s ended with %v, want %v: %s", p.Args[0], code, want, text)
		}
	}
	n, _ := stored(t, d.in, d.holds)
	return n
}

// TestFullDisk stores onto a disk that is full, or fills up. Both ends report it, and
// complete files stay.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := newDelivery(t)
	d.mount(t, "size=8m")
	d.put(t, "tree/a", 1<<20)
	d.put(t, "tree/b", 16<<20) // refused before its first byte
	if got := d.fails(t, "exec", proto.Space); got != 1 {
		t.Errorf("got %d files, want the first", got)
	}
	d.remove(t, "tree/b")
	for i := range 400 { // in the middle
		d.put(t, fmt.Sprintf("tree/c%03d", i), 40000)
	}
	got := d.fails(t, "exec", proto.Space)
	if got < 100 || got > 200 {
		t.Errorf("got %d files, want those that there was room for", got)
	}
	if again := d.fails(t, "exec", proto.Space); again < got { // at the start
		t.Errorf("got %d files, want no less than the %d of before", again, got)
	}
}

// TestFullArchive writes an archive to a disk that fills up. No archive may be there,
// neither a part nor the whole.
func TestFullArchive(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"tar", "zip"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			d := newDelivery(t)
			d.mount(t, "size=2m")
			d.target = "--archive " + format + " -o in/x"
			d.put(t, "tree/a", 100<<10)
			d.holds["tree/b"] = make([]byte, 16<<20)
			_, _ = mathrand.NewChaCha8([32]byte{6}).Read(d.holds["tree/b"])
			if err := os.WriteFile(filepath.Join(d.from, "tree/b"), d.holds["tree/b"], 0o644); err != nil {
				t.Fatal(err)
			}
			d.fails(t, "exec", proto.Space)
			if names, err := os.ReadDir(d.in); err != nil || len(names) > 0 {
				t.Errorf("got %v (%v), want nothing", names, err)
			}
		})
	}
}

// TestFullAtSync gets the error of a full disk only when it syncs the files.
func TestFullAtSync(t *testing.T) {
	t.Parallel()
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("no strace, which lets system calls fail: %v", err)
	}
	for _, files := range []int{1, 100} {
		d := newDelivery(t)
		for i := range files {
			d.put(t, fmt.Sprintf("tree/%d", i), 1000)
		}
		const before = "exec strace -f -o trace -e trace=fsync,syncfs -e inject=fsync,syncfs:error=ENOSPC"
		if got := d.fails(t, before, proto.Space); got > 0 {
			t.Errorf("got %d of %d files that never reached the disk", got, files)
		}
	}
}

// TestFileLimit stores files that are larger than the limit of the process.
func TestFileLimit(t *testing.T) {
	t.Parallel()
	d := newDelivery(t)
	d.put(t, "tree/a", 1000)
	d.put(t, "tree/b", 3<<20)
	if got := d.fails(t, "ulimit -f 1024; exec", proto.Space); got > 1 {
		t.Errorf("got %d files, want the first at most", got)
	}
}

// TestReadOnlyTarget stores where nothing can be written. The tool reports that before
// it makes a token; if the target becomes read-only later, both ends report it.
func TestReadOnlyTarget(t *testing.T) {
	t.Parallel()
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		d := newDelivery(t)
		d.put(t, "tree/a", 1000)
		d.mount(t, "size=1m")
		d.ready = func() {
			if out, err := exec.Command("mount", "-o", "remount,ro", d.in).CombinedOutput(); err != nil {
				t.Errorf("remount: %v: %s", err, out)
			}
		}
		d.fails(t, "exec", proto.IO)
		d.refused(t)
	})
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() == 0 {
			t.Skip("root may write everywhere")
		}
		d := newDelivery(t)
		if err := os.Chmod(d.in, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(d.in, 0o755) })
		d.refused(t)
	})
}

// refused wants mesh-recv and an inbox not to start.
func (d *delivery) refused(t *testing.T) {
	t.Helper()
	for _, words := range [][]string{{"mesh-recv", "-C", "in"}, {"mesh-listen", "--inbox", "in"}} {
		p := begin(t, d.dir, nil, words[0], append(words[1:], "--listen", "127.0.0.1:0", "--token-file", "none")...)
		if code := p.code(t); code != proto.IO {
			t.Errorf("%s ended with %v, want %v: %s", words[0], code, proto.IO, p.stderr.String())
		}
		if _, err := os.Stat(filepath.Join(d.dir, "none")); err == nil {
			t.Errorf("%s made a token", words[0])
		}
	}
}

// TestFewDescriptors stores more small files at once than the process may have open.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	d := newDelivery(t)
	for i := range 1500 {
		d.put(t, fmt.Sprintf("tree/%d/f%04d", i%3, i), 2+i%300)
	}
	recv := begin(t, d.dir, nil, "sh", "-c", "ulimit -n 64; exec mesh-recv --listen 127.0.0.1:0 --token-file tok -C in")
	await(t, filepath.Join(d.dir, "tok"))
	cat := begin(t, d.from, nil, "mesh-cat", "@"+filepath.Join(d.dir, "tok"), "tree")
	for _, p := range []*aTool{recv, cat} {
		if code := p.code(t); code != proto.OK {
			t.Errorf("%s ended with %v: %s", p.Args[0], code, p.stderr.String())
		}
	}
	if n, _ := stored(t, d.in, d.holds); n != len(d.holds) {
		t.Errorf("got %d files, want %d", n, len(d.holds))
	}
}
