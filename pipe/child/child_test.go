package child_test

import (
	"slices"
	"testing"

	"mesh/pipe/child"
)

var base = []string{
	"A=1", "MESH_PEER=mesh1secret", "MESH_HOME=/h", "LINES=3", "COLUMNS=4", "TERM=x", "MESH_CONTROL_TOKEN=s",
	"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=1", "WATCHDOG_PID=1",
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	before := slices.Clone(base)
	for _, tt := range []struct {
		name    string
		environ func(base []string, set ...string) []string
		want    []string
	}{
		{"a command", child.Environ, []string{"A=1", "MESH_HOME=/h", "LINES=3", "COLUMNS=4", "MESH_CONTROL_TOKEN=s", "TERM=y", "B="}},
		{"on a shared terminal", child.TerminalEnviron, []string{"A=1", "MESH_HOME=/h", "TERM=y", "B="}},
	} {
		if got := tt.environ(base, "TERM=y", "B="); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if !slices.Equal(base, before) {
		t.Errorf("base was changed: %q", base)
	}
}

// On Windows the case of a name does not count: a token under a name in small
// letters is one too, and a variable that is set is there once.
func TestEnvironFolds(t *testing.T) {
	t.Parallel()
	base := []string{"=C:=C:\\x", "Path=p", "mesh_peer=mesh1secret", "Mesh_Control_Token=s", "Lines=3", "Term=x"}
	for fold, want := range map[bool][]string{
		true:  {"=C:=C:\\x", "Path=p", "TERM=y"},
		false: append(slices.Clone(base), "TERM=y"),
	} {
		if got := child.TerminalEnvironOf(base, []string{"TERM=y"}, fold); !slices.Equal(got, want) {
			t.Errorf("fold %v: got %q, want %q", fold, got, want)
		}
	}
}

func TestWindowsCode(t *testing.T) {
	t.Parallel()
	for status, want := range map[uint32]int{0: 0, 1: 1, 255: 255, 256: 255, 0xc000013a: 130, 0xc0000005: 255, 0xffffffff: 255} {
		if got := child.WindowsCode(status); got != want {
			t.Errorf("%#x: got %d, want %d", status, got, want)
		}
	}
}
