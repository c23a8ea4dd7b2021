package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
)

// storing is a way to store: the flags of mesh-recv, and what mesh-cat sends.
type storing struct {
	name, flags string
	send        []string // nil for the content of large, as a pipe
	force       bool
}

var storings = []storing{
	{"pipe -o", "-o in/out", nil, false},
	{"pipe -o --force", "-o in/out --force", nil, true},
	{"file -o", "-o in/out", []string{"large"}, false},
	{"small -C", "-C in", []string{"small"}, false},
	{"large -C", "-C in", []string{"large"}, false},
	{"large -C --force", "-C in --force", []string{"large"}, true},
	{"archive -o", "--archive tar -o in/out", []string{"small"}, false},
}

// lackTree makes the files of storings, some read-only, and returns their folder.
func lackTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "small", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		path := fmt.Sprintf("small/f%02d", i)
		if i%3 == 0 {
			path = fmt.Sprintf("small/sub/f%02d", i)
		}
		if err := os.WriteFile(filepath.Join(dir, path), bytes.Repeat([]byte{byte(i)}, 10+i*100), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), bytes.Repeat([]byte("large\n"), 300_000), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "small", "f02"), filepath.Join(dir, "small", "sub", "linked")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"small/f01", "large"} {
		if err := os.Chmod(filepath.Join(dir, path), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// recv is the mesh-recv of s.
func (s storing) recv() string { return "mesh-recv --listen 127.0.0.1:0 --token-file tok " + s.flags }

// storeWith runs a command that is or ends as the mesh-recv of s, and a mesh-cat that
// sends to it, nil if there is no token.
func (s storing) storeWith(t *testing.T, dir, from, command string) (recv, cat *aTool) {
	t.Helper()
	if code := begin(t, dir, nil, "mesh-token", "id").code(t); code != proto.OK { // the key is there
		t.Fatalf("mesh-token ended with %v", code)
	}
	recv = begin(t, dir, nil, "sh", "-c", "umask 022; "+command)
	poll(t, "a token", func() bool {
		select {
		case <-recv.ended:
			return true
		default:
		}
		b, err := os.ReadFile(filepath.Join(dir, "tok"))
		return err == nil && len(b) > 0
	})
	if _, err := os.Stat(filepath.Join(dir, "tok")); err != nil {
		return recv, nil
	}
	cat = begin(t, from, func(c *exec.Cmd) {
		if s.send == nil {
			f, err := os.Open(filepath.Join(from, "large"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			c.Stdin = f
		}
	}, "mesh-cat", append([]string{"@" + filepath.Join(dir, "tok")}, s.send...)...)
	cat.Env = append(cat.Env, "MESH_HOME="+filepath.Join(dir, "home2"))
	return recv, cat
}

// wantStored compares the stored files with the sent ones.
func (s storing) wantStored(t *testing.T, in, from string) {
	t.Helper()
	name := ""
	switch {
	case strings.HasPrefix(s.name, "archive"):
		to := t.TempDir()
		if out, err := exec.Command("tar", "-xf", filepath.Join(in, "out"), "-C", to).CombinedOutput(); err != nil {
			t.Fatalf("tar: %v: %s", err, out)
		}
		in, name = to, "small"
	case s.flags[:2] == "-C":
		name = s.send[0]
	default:
		name = "out"
	}
	source := "large"
	if s.send != nil {
		source = s.send[0]
	}
	if out, err := exec.Command("diff", "-r", filepath.Join(from, source), filepath.Join(in, name)).CombinedOutput(); err != nil {
		t.Errorf("other files arrived: %v: %s", err, out)
	}
	out, err := exec.Command("find", in, "-name", ".mesh-*").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("left behind: %s (%v)", out, err)
	}
}

// TestLackingFileSystem denies system calls that not every file system has. All is
// stored, whole and in place of nothing else, with one warning for each thing that
// is not as on others.
func TestLackingFileSystem(t *testing.T) {
	t.Parallel()
	needStrace(t)
	from := lackTree(t)
	const publish, mode, mtime, lock, names = "it cannot rename", "permissions", "modification times", "no locks", "cannot sync a folder"
	never := func(string) bool { return false }
	folder := func(name string) bool { return strings.Contains(name, "-C") || name == "file -o" }
	large := func(name string) bool { return folder(name) && !strings.HasPrefix(name, "small") }
	for _, tt := range []struct {
		calls   string
		errs    string
		path    string // strace lets only calls on it fail; "" for all
		warning string
		warns   func(storing string) bool
	}{
		{"linkat", "EPERM ENOSYS EOPNOTSUPP", "", publish, never},
		{"renameat2", "EINVAL ENOSYS EPERM EOPNOTSUPP", "", publish, never},
		{"linkat,renameat2", "EPERM ENOSYS EOPNOTSUPP EINVAL", "", publish, func(name string) bool { return !strings.Contains(name, "--force") }},
		{"utimensat", "EPERM ENOSYS EACCES EINVAL", "", mtime, folder},
		{"fchmod", "EPERM ENOSYS EOPNOTSUPP", "", mode, folder},
		{"flock", "ENOLCK ENOSYS EOPNOTSUPP EINVAL", "", lock, large},
		{"fsync", "EINVAL ENOSYS", "", names, never}, // syncfs does it
		{"fsync,syncfs", "EINVAL EOPNOTSUPP", "in", names, func(name string) bool { return name != "small -C" }},
		{"syncfs", "ENOSYS EPERM", "", names, never},
		{"sync_file_range", "ENOSYS EINVAL", "", names, never},
		{"fstatfs", "ENOSYS", "", names, never},
	} {
		for i, errno := range strings.Fields(tt.errs) {
			for j, s := range storings {
				if i > 0 && (i+j)%3 > 0 && testing.Short() {
					continue
				}
				t.Run(tt.calls+" "+errno+" "+s.name, func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					in := filepath.Join(dir, "in")
					if err := os.Mkdir(in, 0o755); err != nil {
						t.Fatal(err)
					}
					if s.force {
						for _, name := range []string{"out", "large"} {
							if err := os.WriteFile(filepath.Join(in, name), []byte("old"), 0o644); err != nil {
								t.Fatal(err)
							}
							defer func() { _ = os.Remove(filepath.Join(in, name)) }()
						}
					}
					prefix := fmt.Sprintf("exec strace -f -o trace -e trace=%s -e inject=%[1]s:error=%s", tt.calls, errno)
					if tt.path != "" {
						prefix += " -P " + filepath.Join(dir, tt.path)
					}
					recv, cat := s.storeWith(t, dir, from, prefix+" "+s.recv())
					for _, p := range []*aTool{recv, cat} {
						if code := p.code(t); code != proto.OK {
							t.Fatalf("%s ended with %v: %s", p.Args[0], code, p.stderr.String())
						}
					}
					want := 0
					if tt.warns(s.name) {
						want = 1
					}
					text := recv.stderr.String()
					if got := strings.Count(text, ": warning: "); got != want || want > 0 && !strings.Contains(text, tt.warning) {
						t.Errorf("got %d warnings, want %d with %q: %s", got, want, tt.warning, text)
					}
					s.wantStored(t, in, from)
				})
			}
		}
	}
}

// TestLackingNeeded denies what nothing can replace. The tool says so before it makes a
// token.
func TestLackingNeeded(t *testing.T) {
	t.Parallel()
	needStrace(t)
	for _, calls := range []string{"fsync,syncfs:error=EIO", "fsync,syncfs:error=EINVAL", "linkat,renameat2,renameat,rename:error=EPERM", "unlinkat:error=EACCES"} {
		for _, s := range storings {
			if strings.HasPrefix(calls, "unlinkat") && s.force { // nothing is removed then
				continue
			}
			t.Run(calls+" "+s.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if err := os.Mkdir(filepath.Join(dir, "in"), 0o755); err != nil {
					t.Fatal(err)
				}
				names, _, _ := strings.Cut(calls, ":")
				recv, cat := s.storeWith(t, dir, dir, fmt.Sprintf("exec strace -f -o trace -e trace=%s -e inject=%s %s", names, calls, s.recv()))
				if cat != nil {
					t.Error("a token was made")
				}
				if code := recv.code(t); code != proto.IO {
					t.Errorf("ended with %v, want %v: %s", code, proto.IO, recv.stderr.String())
				}
			})
		}
	}
}

// TestExFAT stores on a real exFAT, in a mount namespace that ends with mesh-recv. exFAT
// has no links, no modes, and no rename that fails if the new name exists.
func TestExFAT(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"unshare", "mount.exfat-fuse", "mkfs.exfat"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	from := lackTree(t)
	for _, s := range storings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copied := filepath.Join(dir, "copied")
			prepare := "truncate -s 32M disk && mkfs.exfat disk >/dev/null && mkdir in copied"
			if code := begin(t, dir, nil, "sh", "-c", prepare).code(t); code != proto.OK {
				t.Skipf("no exFAT can be made: %v", code)
			}
			// The loop device is free again when its file system is not mounted any more.
			const mount = "loop=$(losetup --find --show disk) && mount.exfat-fuse $loop in >/dev/null; code=$?; losetup --detach $loop; [ $code = 0 ] || exit 99; "
			if p := begin(t, dir, nil, "unshare", "-m", "sh", "-c", mount+"umount in"); p.code(t) != proto.OK {
				t.Skipf("no exFAT can be mounted: %s", p.stderr.String())
			}
			recv, cat := s.storeWith(t, dir, from, "exec unshare -m sh -c '"+mount+s.recv()+"; code=$?; cp -r in/. copied; umount in; exit $code'")
			for _, p := range []*aTool{recv, cat} {
				if p == nil {
					t.Fatalf("no token: %s", recv.stderr.String())
				}
				if code := p.code(t); code != proto.OK {
					t.Fatalf("%s ended with %v: %s", p.Args[0], code, p.stderr.String())
				}
			}
			want := 1
			if s.force && s.send == nil {
				want = 0
			}
			if text := recv.stderr.String(); strings.Count(text, ": warning: ") < want || strings.Contains(text, ": error: ") {
				t.Errorf("got no warning, or an error: %s", text)
			}
			s.wantStored(t, copied, from)
		})
	}
}

// TestLackingStateFolder denies the same calls to the tools that write state files and
// tokens. They write the same files.
func TestLackingStateFolder(t *testing.T) {
	t.Parallel()
	needStrace(t)
	for i, calls := range []string{
		"linkat:error=EPERM", "linkat:error=EOPNOTSUPP", "fchmod:error=EPERM", "flock:error=ENOLCK", "flock:error=ENOSYS",
		"fsync:error=EINVAL", "fsync:error=ENOSYS", "linkat,fchmod,flock,fsync:error=EOPNOTSUPP",
	} {
		for j, w := range stateWriters {
			if (i+j)%3 > 0 && testing.Short() {
				continue
			}
			t.Run(calls+" "+w.tool, func(t *testing.T) {
				t.Parallel()
				r := newStateRun(t, w.file, w.before)
				old := r.read(t, w.file)
				names, _, _ := strings.Cut(calls, ":")
				code, text := r.run(t, fmt.Sprintf("strace -f -o trace -e trace=%s -e inject=%s %s", names, calls, w.tool))
				if code != w.code {
					t.Errorf("ended with %v, want %v: %s", code, w.code, text)
				}
				if got := r.read(t, w.file); got == nil || bytes.Equal(got, old) {
					t.Errorf("%s: got %q, as before", w.file, got)
				}
			})
		}
	}
}
