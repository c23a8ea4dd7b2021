//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/proto"
)

// With --exit-status the end of the input does not end the view: the command may be
// silent for long. --linger says how long.
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

// With --exit-status, an end of the command that the viewer does not see is never 0: it is
// 11 if the link does not come back, and 12 if the sharer is gone.
func TestTTYInputStatusLost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, tt := range []struct {
		what string
		via  string // tcp: over the wire
		wait string // for --resume-for
		end  func(w *wire, sharer *aTool)
		want proto.Code
	}{
		{"the link is gone for good", "tcp", "2s", func(w *wire, _ *aTool) { w.set(true) }, proto.Timeout},
		{"the sharer is killed", "quic", "2m", func(_ *wire, sharer *aTool) { _ = sharer.Process.Kill() }, proto.Truncated},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			dir, w := t.TempDir(), newWire(t, freeAddr(t), 0)
			addr := w.to
			if tt.via == "tcp" {
				addr = w.Addr().String()
			}
			sharer := begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--control", "--listen", w.to, "--addr", addr, "--token-file", "tok", "--", "sh")
			await(t, filepath.Join(dir, "tok.control"))
			input := "echo >begun; sleep 120; exit 9\n"
			v := begin(t, dir, func(c *exec.Cmd) { c.Stdin = strings.NewReader(input) }, "mesh-tty", "--via", tt.via, "--resume-for", tt.wait, "--input", "--exit-status", "@tok.control")
			await(t, filepath.Join(dir, "begun"))
			tt.end(w, sharer)
			if got := v.code(t); got != tt.want {
				t.Errorf("got %d, want %d: %s", got, tt.want, v.stderr.Bytes())
			}
		})
	}
}
