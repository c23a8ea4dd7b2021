package cmdline_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"

	"mesh/tools/cmdline"
)

// The second signal ends a tool that hangs after the first one. The tool runs in a
// process of its own: this test binary, started again.
func TestSecondSignal(t *testing.T) {
	const child = "CMDLINE_TEST_STUBBORN"
	if os.Getenv(child) != "" {
		stubborn := func() *cli.Command {
			return &cli.Command{Name: "stubborn", Action: func(c *cli.Context) error {
				fmt.Fprintln(c.App.Writer, "ready")
				<-c.Context.Done()
				fmt.Fprintln(c.App.Writer, "cancelled")
				select {}
			}}
		}
		tools := []func() *cli.Command{stubborn}
		os.Exit(cmdline.Main(tools, nil, []string{"mesh-stubborn"}, os.Stdin, os.Stdout, os.Stderr))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSecondSignal$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, step := range []struct {
		line   string
		signal syscall.Signal
	}{{"ready", syscall.SIGINT}, {"cancelled", syscall.SIGTERM}} {
		if !lines.Scan() || lines.Text() != step.line {
			t.Fatalf("got %q, want %q", lines.Text(), step.line)
		}
		if err := cmd.Process.Signal(step.signal); err != nil {
			t.Fatal(err)
		}
	}
	err = cmd.Wait()
	if got, want := cmd.ProcessState.ExitCode(), 128+int(syscall.SIGTERM); got != want {
		t.Errorf("got status %d (%v), want %d", got, err, want)
	}
}
