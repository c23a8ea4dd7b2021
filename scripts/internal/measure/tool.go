//go:build unix

package measure

import (
	"context"
	"os"
	"os/exec"
	"strings"
)

// Tool is one way to send a pipe or a folder to another process.
type Tool struct {
	Name string
	Only string // the only task that it can do; empty: all

	// Setup prepares keys and the like, once, in a folder for them. Its error says
	// why the tool can't be measured on this machine. It may be nil.
	Setup func(ctx context.Context, dir string) error

	// Open returns the two ends of one run, not yet started.
	Open func(Job) (Ends, error)
}

// Job is one run of a tool.
type Job struct {
	Dir  string // an empty folder for this run alone
	Home string // holds MESH_HOME of the two ends, and may outlive the run
	Out  string // the destination: /dev/null, a file, a named pipe, or with Tree a folder
	Tree string // the folder to send; empty: the sender reads its stdin
	Addr string // the IP address of the receiving host

	// On returns a command for a host, "a" for the sender, "b" for the receiver,
	// with the environment set.
	On func(host, program string, args ...string) *exec.Cmd
}

// LocalJob is a job whose two hosts are this machine.
func LocalJob(dir string) Job {
	return Job{Dir: dir, Home: dir, Out: os.DevNull, Addr: "127.0.0.1", On: func(_, program string, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = os.Environ()
		return cmd
	}}
}

// Ends are the two ends of one run.
type Ends struct {
	Recv, Send *exec.Cmd
	Ready      func(recv *Process) bool // whether Recv, once started, accepts the sender
	Daemon     bool                     // Recv does not end by itself
	Stores     bool                     // Recv, or its child, writes Job.Out; else Recv's stdout is the data
	Walks      bool                     // Send reads Job.Tree; else it reads data from stdin
}

// NC is nc, which neither encrypts nor authenticates: one plain TCP connection.
func NC(name string) *Tool {
	return &Tool{
		Name: name,
		Setup: func(ctx context.Context, _ string) error {
			if err := Need("nc"); err != nil {
				return err
			}
			usage, _ := exec.CommandContext(ctx, "nc", "-h").CombinedOutput()
			if !strings.HasPrefix(string(usage), "OpenBSD") {
				return Missing{What: "it is not OpenBSD's nc, the only one whose flags are known here"}
			}
			return nil
		},
		Open: func(j Job) (Ends, error) {
			port, err := FreePort()
			return Ends{
				Recv:  j.On("b", "nc", "-d", "-l", j.Addr, port),
				Ready: func(recv *Process) bool { return Listens(recv, port) },
				Send:  j.On("a", "nc", "-N", j.Addr, port),
			}, err
		},
	}
}
