//go:build unix

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// installer runs scripts/install with a prefix of its own.
type installer struct {
	t      *testing.T
	prefix string
	env    []string
}

func newInstaller(t *testing.T) *installer {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go tool here")
	}
	return &installer{t: t, prefix: filepath.Join(t.TempDir(), "prefix")}
}

// run returns all that the script prints.
func (i *installer) run(args ...string) (string, error) {
	i.t.Helper()
	line := `umask 077; exec sh ../../scripts/install "$@"`
	cmd := exec.CommandContext(i.t.Context(), "/bin/sh", append([]string{"-c", line, "sh"}, args...)...)
	cmd.Env = append(append(os.Environ(), "PREFIX="+i.prefix, "VERSION=v0-test"), i.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (i *installer) mustRun(args ...string) {
	i.t.Helper()
	if out, err := i.run(args...); err != nil {
		i.t.Fatalf("scripts/install %v: %v\n%s", args, err, out)
	}
}

// mustFail wants the script to fail, and to say the text.
func (i *installer) mustFail(text string, args ...string) {
	i.t.Helper()
	out, err := i.run(args...)
	if err == nil || !strings.Contains(out, text) {
		i.t.Errorf("scripts/install %v: got %v and %q, want an error with %q", args, err, out, text)
	}
}

// files lists the files below the prefix, and wants all users to be able to read
// them.
func (i *installer) files() []string {
	i.t.Helper()
	var names []string
	err := filepath.WalkDir(i.prefix, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o444)
		if d.IsDir() {
			want = 0o555
		} else {
			names = append(names, path)
		}
		if mode := info.Mode().Perm(); mode&want != want {
			i.t.Errorf("%s: got mode %v, want all of %v", path, mode, want)
		}
		return nil
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return names
}

func TestInstallScript(t *testing.T) {
	t.Parallel()
	i := newInstaller(t)
	i.mustRun()
	i.mustRun() // over itself
	installed := strings.Join(i.files(), "\n")
	for _, name := range []string{
		"/bin/mesh", "/bin/mesh-tty", "/share/man/man1/mesh-cat.1", "/share/man/man5/mesh-config.5",
		"/share/bash-completion/completions/mesh-recv", "/share/fish/vendor_completions.d/mesh-sum.fish", "/share/zsh/site-functions/_mesh",
	} {
		if !strings.Contains(installed+"\n", name+"\n") {
			t.Errorf("%s was not installed; there are\n%s", name, installed)
		}
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(i.prefix, "bin", "mesh-cat"), "--version").Output()
	if got := string(out); err != nil || got != "mesh-cat v0-test\n" {
		t.Errorf("mesh-cat --version: got %q (%v)", got, err)
	}
	const limit = 19_000_000 // of amd64
	info, err := os.Stat(filepath.Join(i.prefix, "bin", "mesh"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOARCH == "amd64" && info.Size() > limit {
		t.Errorf("got a binary of %d bytes, want at most %d", info.Size(), limit)
	}

	// A page that somebody changed is not replaced, and not removed.
	page := filepath.Join(i.prefix, "share", "man", "man1", "mesh-cat.1")
	if err := os.WriteFile(page, []byte("another page"), 0o644); err != nil {
		t.Fatal(err)
	}
	i.mustFail(page)
	i.mustRun("--uninstall")
	if left := i.files(); len(left) != 1 || left[0] != page {
		t.Errorf("after --uninstall there are %v, want %s alone", left, page)
	}
}

func TestInstallScriptRefuses(t *testing.T) {
	t.Parallel()
	i := newInstaller(t)
	bin := filepath.Join(i.prefix, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(bin, "mesh")
	if err := os.WriteFile(other, []byte("#!/bin/sh\necho another mesh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	i.mustFail("another program")
	i.mustRun("--uninstall")
	if got := i.files(); len(got) != 1 || got[0] != other {
		t.Errorf("there are %v, want %s alone", got, other)
	}
	i.mustFail("usage: ", "--demo", "--uninstall")
	i.mustFail("usage: ", "--help-me")
}

// The version of Go is the first thing that is checked.
func TestInstallScriptGo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, version, want string }{
		{"none", "", "there is no go in PATH"},
		{"Debian 12", "go1.19.8", "is 1.19"},
		{"before GOVERSION", "-", "is older"},
		{"no toolchain to be had", "go1.24.4", "could not fetch it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := newInstaller(t)
			dir := t.TempDir()
			for _, tool := range []string{"sh", "sed", "dirname", "grep", "cat"} {
				path, err := exec.LookPath(tool)
				if err != nil {
					t.Skip(err)
				}
				if err := os.Symlink(path, filepath.Join(dir, tool)); err != nil {
					t.Fatal(err)
				}
			}
			if tt.version != "" {
				fake := "#!/bin/sh\n[ \"$1\" = env ] && echo '" + strings.Trim(tt.version, "-") + "' && exit\nexit 1\n"
				if err := os.WriteFile(filepath.Join(dir, "go"), []byte(fake), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			i.env = []string{"PATH=" + dir}
			i.mustFail(tt.want)
			if _, err := os.Stat(i.prefix); err == nil {
				t.Errorf("%s was made", i.prefix)
			}
		})
	}
}
