//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"mesh/proto"
)

// attack makes a terminal write its clipboard, change its title and answer as if
// somebody typed. All of it is between two words.
const attack = "before\x1b]52;c;cm0gLXJmIH4K\x07\x1b]0;title\x07\x1b]2;title\x1b\\\x1b[21t\x1b[c\x1b[6n\x1bP$qm\x1b\\\x1bP+q544e\x1b\\\x05\x9b21tafter\n"

// terminalOf gives a tool a terminal in the place of the files that set names, and
// returns what the tool has written there once it has ended.
func terminalOf(t *testing.T, set func(c *exec.Cmd, terminal *os.File)) (prepare func(*exec.Cmd), written func() []byte) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = master.Close(), slave.Close() })
	var out bytes.Buffer
	read := make(chan struct{}) // closed when all is read
	go func() {
		defer close(read)
		_, _ = io.Copy(&out, master) // ends with EIO
	}()
	return func(c *exec.Cmd) { set(c, slave) }, func() []byte {
		_ = slave.Close()
		<-read
		return out.Bytes()
	}
}

// bytewise writes text to the standard input of a tool, one byte at a time.
func bytewise(text string) func(*exec.Cmd) {
	return func(c *exec.Cmd) {
		r, w := io.Pipe()
		c.Stdin = r
		go func() {
			for i := range len(text) {
				_, _ = w.Write([]byte{text[i]})
			}
			_ = w.Close()
		}()
	}
}

// harmless fails the test if the bytes of the attack, and not only its words, are there.
func harmless(t *testing.T, what string, written []byte) {
	t.Helper()
	if !bytes.Contains(written, []byte("before")) || !bytes.Contains(written, []byte("after")) {
		t.Errorf("%s: got %q, want the text", what, written)
	}
	for _, bad := range []string{"\x1b]", "\x1bP", "\x1b[21t", "\x1b[c", "\x1b[6n", "\x05", "\x9b"} {
		if bytes.Contains(written, []byte(bad)) {
			t.Errorf("%s: got %q, want no %q", what, written, bad)
		}
	}
}

func toStdout(c *exec.Cmd, terminal *os.File) { c.Stdout = terminal }

// A peer's bytes do not control the reader's terminal. The output of a command whose
// input comes from a peer does not control it either.
func TestTerminalFromPeer(t *testing.T) {
	t.Parallel()
	loopback := []string{"--listen", "127.0.0.1:0", "--token-file", "tok"}
	for name, args := range map[string][]string{
		"mesh-recv":   append([]string{"mesh-recv"}, loopback...),
		"mesh-listen": append([]string{"mesh-listen"}, loopback...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			prepare, written := terminalOf(t, toStdout)
			waiting := begin(t, dir, prepare, args[0], args[1:]...)
			await(t, filepath.Join(dir, "tok"))
			if got := begin(t, dir, bytewise(attack), "mesh-cat", "@tok").code(t); got != proto.OK {
				t.Errorf("mesh-cat: got %v", got)
			}
			if got := waiting.code(t); got != proto.OK {
				t.Errorf("got %v: %s", got, waiting.stderr.Bytes())
			}
			harmless(t, name, written())
		})
	}
	t.Run("mesh-cat", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		begin(t, dir, bytewise(attack), "mesh-listen", loopback...)
		await(t, filepath.Join(dir, "tok"))
		prepare, written := terminalOf(t, toStdout)
		if got := begin(t, dir, prepare, "mesh-cat", "@tok").code(t); got != proto.OK {
			t.Errorf("got %v", got)
		}
		harmless(t, "mesh-cat", written())
	})
	t.Run("a pipe", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		begin(t, dir, bytewise(attack), "mesh-listen", loopback...)
		await(t, filepath.Join(dir, "tok"))
		var out bytes.Buffer
		begin(t, dir, func(c *exec.Cmd) { c.Stdout = &out }, "mesh-cat", "@tok").code(t)
		if out.String() != attack {
			t.Errorf("got %q, want %q: only a terminal is protected", out.String(), attack)
		}
	})
	t.Run("a command", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		prepare, written := terminalOf(t, func(c *exec.Cmd, terminal *os.File) { c.Stderr = terminal })
		listen := begin(t, dir, prepare, "mesh-listen", append(loopback, "--once", "--", "sh", "-c", "cat >&2")...)
		await(t, filepath.Join(dir, "tok"))
		begin(t, dir, bytewise(attack), "mesh-cat", "@tok").code(t)
		if got := listen.code(t); got != proto.OK {
			t.Errorf("got %v", got)
		}
		harmless(t, "a command", written())
	})
	t.Run("on-receive", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
			t.Fatal(err)
		}
		prepare, written := terminalOf(t, func(c *exec.Cmd, terminal *os.File) { c.Stdout, c.Stderr = terminal, terminal })
		listen := begin(t, dir, prepare, "mesh-listen", append(loopback, "--inbox", "in", "--name", "f", "--on-receive", `cat "$MESH_FILE"; cat "$MESH_FILE" >&2`)...)
		await(t, filepath.Join(dir, "tok"))
		if got := begin(t, dir, bytewise(attack), "mesh-cat", "@tok").code(t); got != proto.OK {
			t.Errorf("mesh-cat: got %v", got)
		}
		_ = listen.Process.Signal(syscall.SIGTERM)
		listen.code(t)
		harmless(t, "on-receive", written())
	})
}
