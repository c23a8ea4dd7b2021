//go:build unix

package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"mesh/proto"
)

// With --exit-status the end of the input does not end the view: the command may be
// silent for long. Without, --linger says how long.
func TestTTYInputStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		flags []string
		input string
		want  proto.Code
		least time.Duration
	}{
		{[]string{"--exit-status"}, "sleep 1; exit 9\n", 9, time.Second},
		{[]string{"--linger", "2s"}, "echo typed\n", 0, 2 * time.Second},
	} {
		s := shareCommand(t, 80, 24, "sh")
		begun := time.Now()
		v := begin(t, s.dir, func(c *exec.Cmd) { c.Stdin = strings.NewReader(tt.input) }, "mesh-tty", append(tt.flags, "--input", "@tok.control")...)
		if got := v.code(t); got != tt.want {
			t.Errorf("%v: got %d, want %d: %s", tt.flags, got, tt.want, v.stderr.Bytes())
		}
		if took := time.Since(begun); took < tt.least {
			t.Errorf("%v: it ended after %v, want at least %v", tt.flags, took, tt.least)
		}
	}
}
