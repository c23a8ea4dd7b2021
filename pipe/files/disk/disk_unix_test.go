//go:build unix

package disk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/xtest"
)

const mtime = 1234567890123456789

func open(t *testing.T, dir string) *disk.Folder {
	t.Helper()
	f, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantFiles compares the names in a folder, and what the files hold.
func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Error(err)
		}
		got[e.Name()] = string(b)
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s holds %q, want %q", name, got[name], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// temps makes a temporary file that holds "new", in each way in which one is made.
func temps(t *testing.T) map[string]func(*disk.Folder) *disk.Temp {
	return map[string]func(*disk.Folder) *disk.Temp{
		"open": func(f *disk.Folder) *disk.Temp {
			temp, err := f.CreateRandomTemp(0o644)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := temp.Write([]byte("new")); err != nil {
				t.Fatal(err)
			}
			return temp
		},
		"small": func(f *disk.Folder) *disk.Temp { // anonymous, where there is such a file
			temp, err := disk.NewSmallWriter(f, disk.RandomTempName()).Write(f, disk.RandomTempName, 0o644, mtime, []byte("new"))
			if err != nil {
				t.Fatal(err)
			}
			return temp
		},
		"small, named": func(f *disk.Folder) *disk.Temp {
			taken := disk.RandomTempName()
			other, err := f.CreateTemp(taken, 0o600) // the probe fails
			if err != nil {
				t.Fatal(err)
			}
			defer other.Remove()
			temp, err := disk.NewSmallWriter(f, taken).Write(f, disk.RandomTempName, 0o644, mtime, []byte("new"))
			if err != nil {
				t.Fatal(err)
			}
			return temp
		},
	}
}

// Publish replaces nothing, Replace replaces files and links. Neither leaves
// anything beside the file.
func TestPublish(t *testing.T) {
	t.Parallel()
	for how, create := range temps(t) {
		dir := t.TempDir()
		outside := filepath.Join(t.TempDir(), "outside")
		write(t, outside, "outside")
		write(t, filepath.Join(dir, "file"), "old")
		if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		f := open(t, dir)
		for _, name := range []string{"file", "link"} {
			temp := create(f)
			if err := temp.Publish(name); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s: Publish as %s: got %v, want %v", how, name, err, fs.ErrExist)
			}
			if err := temp.Remove(); err != nil {
				t.Errorf("%s: Remove: %v", how, err)
			}
		}
		wantFiles(t, dir, map[string]string{"file": "old", "link": "outside"})
		temp := create(f)
		for _, err := range []error{temp.Sync(), temp.Publish("free"), f.Sync(), temp.Close(), temp.Close()} {
			if err != nil {
				t.Errorf("%s: %v", how, err)
			}
		}
		for _, name := range []string{"file", "link"} {
			temp := create(f)
			if err := errors.Join(temp.Replace(name), temp.Close()); err != nil {
				t.Errorf("%s: Replace %s: %v", how, name, err)
			}
		}
		wantFiles(t, dir, map[string]string{"file": "new", "link": "new", "free": "new"})
		wantFiles(t, filepath.Dir(outside), map[string]string{"outside": "outside"})
	}
}

// What replaces RENAME_NOREPLACE replaces nothing either.
func TestPublishByLink(t *testing.T) {
	t.Parallel()
	for how, publish := range map[string]func(*disk.Temp, string) error{"link": disk.PublishByLink, "empty file": disk.PublishByTaking} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "file"), "old")
		write(t, filepath.Join(dir, "empty"), "")
		if err := errors.Join(os.Symlink("nowhere", filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "folder"), 0o755)); err != nil {
			t.Fatal(err)
		}
		f := open(t, dir)
		temp := temps(t)["open"](f)
		for _, name := range []string{"file", "empty", "link", "folder"} {
			if err := publish(temp, name); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s: %s: got %v, want %v", how, name, err, fs.ErrExist)
			}
		}
		if err := errors.Join(publish(temp, "free"), temp.Close()); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if to, err := os.Readlink(filepath.Join(dir, "link")); to != "nowhere" || err != nil {
			t.Errorf("%s: got a link to %q, %v", how, to, err)
		}
		if err := errors.Join(os.Remove(filepath.Join(dir, "link")), os.Remove(filepath.Join(dir, "folder"))); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		wantFiles(t, dir, map[string]string{"file": "old", "empty": "", "free": "new"})
	}
}

// Of many that publish the same name at once, one does.
func TestPublishAtOnce(t *testing.T) {
	t.Parallel()
	for how, publish := range map[string]func(*disk.Temp, string) error{"link": disk.PublishByLink, "empty file": disk.PublishByTaking, "rename": (*disk.Temp).Publish} {
		dir := t.TempDir()
		f := open(t, dir)
		const many = 8
		done := make(chan error, many)
		for range many {
			temp := temps(t)["open"](f)
			go func() {
				err := publish(temp, "f")
				if err != nil {
					_ = temp.Remove()
				}
				done <- err
			}()
		}
		published := 0
		for range many {
			switch err := <-done; {
			case err == nil:
				published++
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("%s: got %v, want %v", how, err, fs.ErrExist)
			}
		}
		if published != 1 {
			t.Errorf("%s: %d have the name", how, published)
		}
		wantFiles(t, dir, map[string]string{"f": "new"})
	}
}

// A small file has its mode, less the umask, and its time in each way of writing it.
func TestSmallAttributes(t *testing.T) {
	t.Parallel()
	for _, named := range []string{"small", "small, named"} {
		dir := t.TempDir()
		f := open(t, dir)
		temp := temps(t)[named](f)
		if err := errors.Join(temp.Publish("f"), temp.Close()); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "other"), "")
		got, err := os.Stat(filepath.Join(dir, "f"))
		want, werr := os.Stat(filepath.Join(dir, "other"))
		if err := errors.Join(err, werr); err != nil {
			t.Fatal(err)
		}
		if got.Mode() != want.Mode() || got.ModTime().UnixNano() != mtime {
			t.Errorf("%s: got %v and %d, want %v and %d", named, got.Mode(), got.ModTime().UnixNano(), want.Mode(), int64(mtime))
		}
	}
}

// Only a file that is ours alone is reopened.
func TestReopenTemp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		put  func(path, outside string) error
		ok   bool
	}{
		{"a file", func(path, _ string) error { return os.WriteFile(path, []byte("12345"), 0o600) }, true},
		{"nothing", func(string, string) error { return nil }, false},
		{"a link", func(path, outside string) error { return os.Symlink(outside, path) }, false},
		{"a hard link", func(path, outside string) error { return os.Link(outside, path) }, false},
		{"a folder", func(path, _ string) error { return os.Mkdir(path, 0o700) }, false},
		{"a FIFO", func(path, _ string) error { return syscall.Mkfifo(path, 0o600) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
			write(t, outside, "outside")
			name := disk.TempName("x")
			if err := tt.put(filepath.Join(dir, name), outside); err != nil {
				t.Fatal(err)
			}
			f := open(t, dir)
			temp, err := f.ReopenTemp(name)
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want it reopened: %t", err, tt.ok)
			}
			if !tt.ok {
				return
			}
			if _, err := f.ReopenTemp(name); err == nil {
				t.Error("a locked file was reopened")
			}
			if size, err := temp.Size(); size != 5 || err != nil {
				t.Errorf("got %d bytes, %v, want 5", size, err)
			}
			if err := temp.Truncate(3); err != nil {
				t.Error(err)
			}
			if _, err := temp.Write([]byte("xyz")); err != nil {
				t.Error(err)
			}
			_ = temp.Close()
			wantFiles(t, dir, map[string]string{name: "123xyz"})
		})
	}
}

// A folder that was replaced by a link or another folder is not entered.
func TestOpenFolderReplaced(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	f := open(t, dir)
	for what, replace := range map[string]func(path string) error{
		"a link out":     func(path string) error { return os.Symlink(outside, path) },
		"a link inside":  func(path string) error { return os.Symlink("moved", path) },
		"another folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a file":         func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		path := filepath.Join(dir, "d")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		found, err := f.Lstat("d")
		if err != nil {
			t.Fatal(err)
		}
		if sub, err := f.OpenFolder("d", found); err != nil {
			t.Errorf("before %s: %v", what, err)
		} else {
			sub.Close()
		}
		moved := filepath.Join(dir, "elsewhere "+what)
		if err := errors.Join(os.Rename(path, moved), os.RemoveAll(filepath.Join(dir, "moved")), os.Mkdir(filepath.Join(dir, "moved"), 0o700), replace(path)); err != nil {
			t.Fatal(err)
		}
		if sub, err := f.OpenFolder("d", found); err == nil {
			sub.Close()
			t.Errorf("%s was entered", what)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A file that changed since Lstat is not read.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(path string) error
		want   proto.Code
	}{
		{"unchanged", func(string) error { return nil }, proto.OK},
		{"longer", func(path string) error { return os.Truncate(path, 6) }, proto.Changed},
		{"shorter", func(path string) error { return os.Truncate(path, 4) }, proto.Changed},
		{"another time", func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) }, proto.Changed},
		{"gone", os.Remove, proto.Changed},
		{"a link to it", func(path string) error {
			return errors.Join(os.Rename(path, path+"2"), os.Symlink("f2", path))
		}, proto.Changed},
		{"another file", func(path string) error {
			return errors.Join(os.Rename(path, path+"2"), os.WriteFile(path, []byte("12345"), 0o644))
		}, proto.Changed},
		{"a FIFO", func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) }, proto.Changed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			write(t, path, "12345")
			f := open(t, dir)
			found, err := f.Lstat("f")
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.change(path); err != nil {
				t.Fatal(err)
			}
			data, err := f.ReadUnchanged("f", found, make([]byte, 6))
			xtest.WantCode(t, "ReadUnchanged", err, tt.want)
			if err == nil && !bytes.Equal(data, []byte("12345")) {
				t.Errorf("got %q", data)
			}
			if tt.name == "a link to it" {
				return // OpenUnchanged takes it: it is the same file
			}
			file, err := f.OpenUnchanged("f", found)
			xtest.WantCode(t, "OpenUnchanged", err, tt.want)
			if err == nil {
				xtest.WantCode(t, "CheckUnchanged", file.CheckUnchanged(), proto.OK)
				file.Close()
			}
		})
	}
}

// RemoveAbandoned removes temporary files that nobody has locked, and nothing else.
func TestRemoveAbandoned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := open(t, dir)
	locked, err := f.CreateTemp(disk.TempName("locked"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Close()
	for _, name := range []string{disk.TempName("left"), "file", ".mesh-x", "x.part"} {
		write(t, filepath.Join(dir, name), "x")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := disk.RemoveAbandoned(t.Context(), root, time.Time{}); err != nil {
		t.Error(err)
	}
	wantFiles(t, dir, map[string]string{disk.TempName("locked"): "", "file": "x", ".mesh-x": "x", "x.part": "x"})
}

// CheckWritable leaves nothing behind, and fails where nothing can be stored.
func TestCheckWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	xtest.WantCode(t, "a folder", disk.CheckWritable(dir), proto.OK)
	wantFiles(t, dir, nil)
	xtest.WantCode(t, "no folder", disk.CheckWritable(filepath.Join(dir, "missing")), proto.IO)
}
