//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestInterop runs the scripts in testdata/interop with an old binary and this
// one, each of them once as the dialer and once as the listener:
//
//	MESH_OLD=/path/to/an/old/mesh go test ./cmd/mesh -run TestInterop
//
// The two speak the same protocol, so every script must pass both ways. In a
// script $D is the folder of the dialer's tools and $L that of the listener's. $NAMED is
// a flag that only this binary has: a name for a pipe.
func TestInterop(t *testing.T) {
	t.Parallel()
	old := os.Getenv("MESH_OLD")
	if old == "" {
		t.Skip("MESH_OLD is not set: it is the path of an older mesh binary to talk to")
	}
	oldTools, newTools := linkTools(t, old), linkTools(t, executable(t))
	if oldSum, newSum := contents(t, oldTools), contents(t, newTools); bytes.Equal(oldSum, newSum) {
		t.Fatalf("MESH_OLD=%s is the binary under test", old)
	}
	for name, folders := range map[string][2]string{
		"old dials new": {oldTools, newTools},
		"new dials old": {newTools, oldTools},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, testscript.Params{
				Dir:                 filepath.Join("testdata", "interop"),
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
				Setup: func(env *testscript.Env) error {
					env.Setenv("D", folders[0])
					env.Setenv("L", folders[1])
					if folders[0] == newTools {
						env.Setenv("NAMED", "--name theirs")
					}
					env.Setenv("MESH_HOME", filepath.Join(env.WorkDir, "dialer"))
					env.Setenv("HOME", env.WorkDir)
					env.Setenv("XDG_STATE_HOME", "")
					newStarted(env)
					return nil
				},
				Cmds: scriptCommands(),
			})
		})
	}
}

// executable returns the path of the binary under test, which PATH has as mesh.
func executable(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("mesh")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// linkTools makes a folder in which every tool is a link to the binary.
func linkTools(t *testing.T, binary string) string {
	t.Helper()
	binary, err := filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"mesh", "mesh-cat", "mesh-recv", "mesh-listen", "mesh-tty", "mesh-token"} {
		if err := os.Symlink(binary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// contents returns the binary that a folder of [linkTools] links to.
func contents(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "mesh"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
