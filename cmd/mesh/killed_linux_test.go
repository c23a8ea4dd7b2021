package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh/proto"
)

// modedTree makes a tree of small and large files in folders of various modes and times.
func modedTree(t *testing.T, dir string) string {
	t.Helper()
	tree := filepath.Join(dir, "tree")
	at := time.Unix(1_000_000_000, 0)
	var folders []string
	for i, mode := range []fs.FileMode{0o755, 0o700, 0o555, 0o500, 0o751, 0o750, 0o755, 0o711} {
		sub := filepath.Join(tree, fmt.Sprintf("d%d", i))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 12 {
			path := filepath.Join(sub, fmt.Sprintf("f%02d", j))
			size := 1 + j*700
			if j == 5 {
				size = 200_000
			}
			if err := firstOf(os.WriteFile(path, bytes.Repeat([]byte{byte(i + j)}, size), 0o644), os.Chmod(path, []fs.FileMode{0o644, 0o600, 0o444, 0o755}[j%4]), os.Chtimes(path, at, at)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(sub, mode); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, sub)
		t.Cleanup(func() { _ = os.Chmod(sub, 0o755) })
	}
	for i, sub := range append(folders, tree) {
		when := at.Add(time.Duration(i) * time.Hour)
		if err := os.Chtimes(sub, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// listTree describes all below a folder: path, mode, modification time, size and content.
func listTree(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&list, "%s %v %d", rel, info.Mode(), info.ModTime().Unix())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			fmt.Fprintf(&list, " %d %x %v", len(data), data[:min(1, len(data))], err)
		}
		list.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}

// differing returns the lines that only one of two lists has.
func differing(got, want string) string {
	var out strings.Builder
	for _, two := range []struct{ sign, in, from string }{{"+", want, got}, {"-", got, want}} {
		for line := range strings.Lines(two.from) {
			if !strings.Contains("\n"+two.in, "\n"+line) {
				out.WriteString(two.sign + line)
			}
		}
	}
	return out.String()
}

// TestKilledRepeat kills mesh-recv -C with SIGKILL in a certain system call, with and
// without anonymous files. The repeat brings the sender's tree, with the modes and times
// of its folders, and leaves no temporary file.
func TestKilledRepeat(t *testing.T) {
	t.Parallel()
	needStrace(t)
	from := t.TempDir()
	want := listTree(t, modedTree(t, from))
	// Without linkat and O_TMPFILE a file is written under a temporary name.
	const named, links = "linkat:error=EPERM", "renameat2:error=EINVAL"
	for _, tt := range []struct{ lacks, at, in string }{
		{"", "linkat:signal=KILL", "tree/d0"},
		{"", "linkat:signal=KILL:when=2", "tree/d7"},
		{"", "mkdirat:signal=KILL", "tree"},
		{"", "fchmod:signal=KILL", "tree/d3"},
		{"", "fchmod:signal=KILL", "tree"},
		{"", "utimensat:signal=KILL", "tree"},
		{named, "renameat2:signal=KILL:when=2", "tree/d0"},
		{named, "renameat2:signal=KILL:when=2", "tree/d4"},
		{named, "utimensat:signal=KILL", "tree/d6"},
		{named, "syncfs:signal=KILL", ""},
		{named, "fchmod:signal=KILL", "tree/d2"},
		{named, "fchmod:signal=KILL", "tree"},
		{links, "unlinkat:signal=KILL", "tree/d0"}, // between a link and a remove
	} {
		t.Run(tt.lacks+" "+tt.at+" "+tt.in, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			in := filepath.Join(dir, "in")
			if err := os.Mkdir(in, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { makeWritable(in) })
			s := storing{name: "-C", flags: "-C in", send: []string{"tree"}}
			injected := ""
			if tt.lacks != "" {
				injected = "-e inject=" + tt.lacks + " "
			}
			const trace = "exec strace -D -f -o trace -e trace=linkat,renameat2,fchmod,mkdirat,utimensat,syncfs,flock,unlinkat "
			kill := "-e inject=" + tt.at + " -P " + filepath.Join(in, tt.in) + " "
			if tt.lacks == named {
				kill += "-P " + in + " " // where it is tried whether a file without a name can get one
			}
			recv, cat := s.storeWith(t, dir, from, trace+injected+kill+s.recv())
			if cat == nil {
				t.Fatalf("no token: %s", recv.stderr.String())
			}
			<-recv.ended
			if status, ok := recv.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("mesh-recv was not killed: %v: %s", recv.ProcessState, recv.stderr.String())
			}
			_ = cat.Process.Kill()
			if err := os.Remove(filepath.Join(dir, "tok")); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			recv, cat = s.storeWith(t, dir, from, trace+injected+s.recv())
			for _, p := range []*aTool{recv, cat} {
				if code := p.code(t); code != proto.OK {
					t.Fatalf("the repeat: %s ended with %v: %s", p.Args[0], code, p.stderr.String())
				}
			}
			if got := listTree(t, filepath.Join(in, "tree")); got != want {
				t.Errorf("the repeat brought another tree:\n%s", differing(got, want))
			}
			if left, _ := filepath.Glob(filepath.Join(in, ".mesh-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// makeWritable lets the test remove what is below a folder.
func makeWritable(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o755)
		}
		return nil
	})
}
