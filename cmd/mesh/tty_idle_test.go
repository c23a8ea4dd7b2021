//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shareHeadless shares a terminal, and returns the folder with its tokens.
func shareHeadless(t *testing.T, command ...string) (dir string) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir = t.TempDir()
	begin(t, dir, nil, "mesh-tty", append([]string{"--share", "--headless", "--control", "--listen", "127.0.0.1:0", "--token-file", "tok", "--"}, command...)...)
	await(t, filepath.Join(dir, "tok.control"))
	return dir
}

// typeInto has mesh-tty --input type text into a shared terminal, and returns what it
// printed and how long it took.
func typeInto(t *testing.T, dir, text string, flags ...string) (printed string, took time.Duration) {
	t.Helper()
	begun, out := time.Now(), new(strings.Builder)
	v := begin(t, dir, func(c *exec.Cmd) { c.Stdin, c.Stdout = strings.NewReader(text), out }, "mesh-tty", append(flags, "--input", "--plain", "@tok.control")...)
	if code := v.code(t); code != 0 {
		t.Errorf("%q: got status %d, want 0: %s", text, code, v.stderr.Bytes())
	}
	return out.String(), time.Since(begun)
}

// awaitShell waits until the shell that has the foreground executes what is typed.
func awaitShell(t *testing.T, dir, name string) {
	t.Helper()
	typeInto(t, dir, "echo up >"+name+"\n")
	await(t, filepath.Join(dir, name))
}

// The view stays while what was typed runs in the foreground, however silent, and no
// longer.
func TestTTYInputWaitsForJobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what  string
		shell bool
		share []string
		input string
		want  string
		most  time.Duration // 0 for any
	}{
		{"silent command", true, []string{"sh"}, "sleep 1; echo d''one\n", "done", 0},
		{"silent command in bash", true, []string{"bash", "--norc"}, "sleep 1; echo d''one\n", "done", 0},
		{"several lines in bash", true, []string{"bash", "--norc"}, "sleep 1\nsleep 1 | cat\necho d''one\n", "done", 0},
		{"several lines", true, []string{"sh"}, "sleep 1\nsleep 1\necho d''one\n", "done", 0},
		{"pipeline", true, []string{"sh"}, "{ sleep 1; echo one; } | sed s/^/d/\n", "done", 0},
		{"script", true, []string{"sh"}, "sh -c 'sleep 1; echo d\"\"one'\n", "done", 0},
		{"subshell", true, []string{"sh"}, "(sleep 1; echo d''one)\n", "done", 0},
		{"background job", true, []string{"sh"}, "sleep 60 &\necho d''one\n", "done", 30 * time.Second},
		{"suspended job", true, []string{"sh"}, "sh -c 'kill -STOP $$; sleep 60'\necho d''one\n", "done", 30 * time.Second},
		{"not a shell", false, []string{"cat"}, "done\n", "done\ndone", 30 * time.Second},
		{"shell without jobs", false, []string{"sh", "-c", "echo done; exec sleep 60"}, "", "", 30 * time.Second},
		{"nothing typed", true, []string{"sh"}, "", "", 30 * time.Second},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(tt.share[0]); err != nil {
				t.Skip(err)
			}
			dir := shareHeadless(t, tt.share...)
			if tt.shell {
				awaitShell(t, dir, "up")
			}
			printed, took := typeInto(t, dir, tt.input)
			if !strings.Contains(printed, tt.want) {
				t.Errorf("it printed %q, want %q in it", printed, tt.want)
			}
			if tt.most > 0 && took > tt.most {
				t.Errorf("it took %v, want at most %v", took, tt.most)
			}
		})
	}
}

// A shell or a program that has the foreground when the viewer comes waits for input as
// the shared shell does.
func TestTTYInputIntoNestedShell(t *testing.T) {
	t.Parallel()
	dir := shareHeadless(t, "sh")
	awaitShell(t, dir, "up")
	for i, step := range []struct {
		input, want string
		flags       []string
	}{
		{"sh\n", "", []string{"--linger", "1s"}},
		{"sleep 1; echo d''one\n", "done", nil},
		{"cat\n", "", []string{"--linger", "1s"}},
		{"done\n", "done\ndone", nil},
		{"\x04echo l''eft\n", "left", nil},
		{"exit\necho a''gain\n", "again", nil},
	} {
		printed, took := typeInto(t, dir, step.input, step.flags...)
		if !strings.Contains(printed, step.want) || took > 30*time.Second {
			t.Errorf("%q printed %q in %v, want %q in it", step.input, printed, took, step.want)
		}
		if i == 0 {
			awaitShell(t, dir, "nested")
		}
	}
}

// A program that goes on holds the view until --deadline, or with --linger until it is
// silent.
func TestTTYInputHeld(t *testing.T) {
	t.Parallel()
	dir := shareHeadless(t, "sh")
	v := begin(t, dir, func(c *exec.Cmd) { c.Stdin = strings.NewReader("sleep 120\n") }, "mesh-tty", "--deadline", "2s", "--input", "--plain", "@tok.control")
	if got := v.code(t); got != 11 {
		t.Errorf("with --deadline: got status %d, want 11: %s", got, v.stderr.Bytes())
	}
	if _, took := typeInto(t, dir, "\x03sleep 120\n", "--linger", "500ms"); took > 30*time.Second {
		t.Errorf("with --linger: it took %v", took)
	}
}
