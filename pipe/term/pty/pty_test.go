package pty_test

import (
	"slices"
	"testing"

	"mesh/pipe/term/pty"
)

// Windows takes small letters in names for capitals: a token under such a name is
// one too, and a variable that is set is there once.
func TestEnvironFolds(t *testing.T) {
	t.Parallel()
	base := []string{"=C:=C:\\x", "Path=p", "mesh_peer=mesh1secret", "Mesh_Control_Token=s", "Lines=3", "Term=x"}
	for fold, want := range map[bool][]string{
		true:  {"=C:=C:\\x", "Path=p", "TERM=y"},
		false: append(slices.Clone(base), "TERM=y"),
	} {
		if got := pty.EnvironOf(base, []string{"TERM=y"}, fold); !slices.Equal(got, want) {
			t.Errorf("fold %v: got %q, want %q", fold, got, want)
		}
	}
}

func TestWindowsCode(t *testing.T) {
	t.Parallel()
	for status, want := range map[uint32]int{0: 0, 1: 1, 255: 255, 256: 255, 0xc000013a: 130, 0xc0000005: 255, 0xffffffff: 255} {
		if got := pty.WindowsCode(status); got != want {
			t.Errorf("%#x: got %d, want %d", status, got, want)
		}
	}
}
