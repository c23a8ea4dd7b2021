//go:build unix

package term_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"mesh/pipe/term"
	"mesh/pipe/term/pty"
)

// asksFor has the test binary say on its standard output whether that is a
// terminal that listens to it: of the session's "leader", which also has a
// "job" in the background say so.
const asksFor = "FOREGROUND_TEST"

func TestMain(m *testing.M) {
	who := os.Getenv(asksFor)
	if who == "" {
		os.Exit(m.Run())
	}
	fmt.Println(who, term.Foreground(os.Stdout))
	if who == "leader" {
		job := exec.Command(os.Args[0])
		job.Env = append(os.Environ(), asksFor+"=job")
		job.Stdout, job.Stderr = os.Stdout, os.Stderr
		job.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := job.Run(); err != nil {
			fmt.Println(err)
		}
	}
}

func TestForeground(t *testing.T) {
	t.Parallel()
	p, err := pty.Start(pty.Options{Command: []string{os.Args[0]}, Env: append(os.Environ(), asksFor+"=leader"), Cols: 80, Rows: 24})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out, err := io.ReadAll(p)
	if want := "leader true\r\njob false\r\n"; string(out) != want || err != nil {
		t.Errorf("got %q (%v), want %q", out, err, want)
	}
}

// What is no terminal, and so has no jobs, is nobody else's either.
func TestForegroundOfFile(t *testing.T) {
	t.Parallel()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := term.Foreground(f); !got {
		t.Errorf("got %v of %s, want true", got, f.Name())
	}
}
