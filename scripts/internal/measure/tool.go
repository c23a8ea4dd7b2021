//go:build unix

package measure

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Tool is one way to send a pipe or a folder, or to show a terminal, and what was
// measured of it.
type Tool struct {
	Name   string
	Family string // its name for --tools
	Only   string // the only task that it can do; empty: all

	// Setup prepares keys and the like, once, in a folder for them. It may be nil.
	Setup func(dir string) error

	// Open returns the two ends of one run, not yet started.
	Open func(Job) (Ends, error)

	Compared bool  // has the binary of --against
	Against  *Tool // the same with that binary, or nil

	Failed  error              // why it is not measured, or no longer
	Figures map[string]Figures // by what they are of; none if it has failed
}

// Add adds a figure.
func (t *Tool) Add(what string, figure float64) {
	if t.Figures == nil {
		t.Figures = map[string]Figures{}
	}
	t.Figures[what] = append(t.Figures[what], figure)
}

// Median is NaN without figures.
func (t *Tool) Median(what string) float64 { return t.Figures[what].Median() }

// Quantile is NaN without figures.
func (t *Tool) Quantile(what string, q float64) float64 { return t.Figures[what].Quantile(q) }

// Find returns the tool whose name begins with prefix, or one without figures.
func Find(tools []*Tool, prefix string) *Tool {
	for _, t := range tools {
		if strings.HasPrefix(t.Name, prefix) {
			return t
		}
	}
	return &Tool{}
}

// Pick returns the tools of the chosen families, set up in folders in dir.
func Pick(tools []*Tool, families []string, dir string) []*Tool {
	tools = slices.DeleteFunc(tools, func(t *Tool) bool { return !slices.Contains(families, t.Family) })
	for _, t := range tools {
		if t.Setup != nil {
			own := filepath.Join(dir, "of-"+t.Family)
			t.Failed = errors.Join(os.MkdirAll(own, 0o700), t.Setup(own))
		}
	}
	return tools
}

// TakeTurns measures each tool rounds times. Each round begins with another tool,
// so that other load on the machine is shared by all. A tool that fails takes no
// more turns and loses its figures: the median of fewer runs would mislead.
func TakeTurns(ctx context.Context, what string, rounds int, tools []*Tool, measure func(*Tool) error) error {
	for round := range rounds {
		Say("%s, round %d of %d", what, round+1, rounds)
		for n := range tools {
			t := tools[(round+n)%len(tools)]
			if t.Failed != nil {
				continue
			}
			err := measure(t)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				Say("error: %s: %v", t.Name, err)
				t.Failed, t.Figures = err, nil
			}
		}
	}
	return nil
}

// Job is one run of a tool.
type Job struct {
	Dir   string // an empty folder for this run alone
	Home  string // holds MESH_HOME of the two ends, and may outlive the run
	Out   string // the destination: /dev/null, a file, a named pipe, or with Tree a folder
	Tree  string // the folder to send; empty: the sender reads its stdin
	Shell string // the command, for a shell, of a tool that shows a terminal
	Addr  string // the IP address of the receiving host

	// On returns a command for a host, "a" for the sender, "b" for the receiver.
	On func(host, program string, args ...string) *exec.Cmd
}

// LocalJob is a job whose two hosts are this machine.
func LocalJob(dir string) Job {
	return Job{Dir: dir, Home: dir, Out: os.DevNull, Addr: "127.0.0.1", On: func(_, program string, args ...string) *exec.Cmd {
		return exec.Command(program, args...)
	}}
}

// Ends are the two ends of one run. A tool that shows a terminal may lack one.
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
		Name: name, Family: "nc",
		Setup: func(string) error {
			if err := Need("nc"); err != nil {
				return err
			}
			usage, _ := exec.Command("nc", "-h").CombinedOutput()
			if !strings.HasPrefix(string(usage), "OpenBSD") {
				return Missing{What: "it is not OpenBSD's nc, the only one whose flags are known here"}
			}
			return nil
		},
		Open: func(j Job) (Ends, error) {
			port, err := FreePort()
			return Ends{
				Recv:  j.On("b", "nc", "-d", "-l", j.Addr, port),
				Ready: Listens(port),
				Send:  j.On("a", "nc", "-N", j.Addr, port),
			}, err
		},
	}
}
