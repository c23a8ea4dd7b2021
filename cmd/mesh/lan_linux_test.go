package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
)

// holdsLANPort reports whether a process has a socket at UDP port 4601.
func holdsLANPort(t *testing.T, pid int) bool {
	t.Helper()
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	own := make(map[string]bool)
	for _, d := range descriptors {
		to, _ := os.Readlink(d) // "" for one that was closed just now
		own[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
	}
	for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		text, err := os.ReadFile(table)
		if err != nil && !os.IsNotExist(err) { // a machine without IPv6
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", 4601)) && own[f[9]] {
				return true
			}
		}
	}
	return false
}

// A listener holds the port of questions from local networks, but not with lan = false, and
// not if it listens at loopback alone.
func TestLANPort(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		config, listen string
		want           bool
	}{
		{"", ":0", true},
		{"[reach]\nlan = false\n", ":0", false},
		{"", "127.0.0.1:0", false},
	} {
		dir := t.TempDir()
		for _, d := range []string{"home", "in"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "home", "config.toml"), []byte(tt.config), 0o600); err != nil {
			t.Fatal(err)
		}
		p := begin(t, dir, nil, "mesh-listen", "-v", "--inbox", "in", "--listen", tt.listen, "--token-file", "tok")
		tok := filepath.Join(dir, "tok")
		poll(t, "a token", func() bool { info, err := os.Stat(tok); return err == nil && info.Size() > 0 })
		if tt.want {
			poll(t, "the port", func() bool { return holdsLANPort(t, p.Process.Pid) })
			continue
		}
		// Where it opens the port, it does so at once: a whole transfer is time enough.
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		c := begin(t, dir, func(c *exec.Cmd) { c.Env = append(c.Env, "MESH_HOME="+filepath.Join(dir, "home2")) }, "mesh-cat", "@tok", "f")
		if code := c.code(t); code != proto.OK || holdsLANPort(t, p.Process.Pid) {
			t.Errorf("%q at %s: got %v of the transfer, and UDP port 4601 open %t, want it closed", tt.config, tt.listen, code, holdsLANPort(t, p.Process.Pid))
		}
	}
}
