// Package cmdline is the edge between the process and the tools. It finds the tool
// that argv names and gives it a context that signals end. It defines the flags that
// tools share, reads the settings, prints errors and turns them into the exit
// status. No other package uses os.Exit or handles the signals that end a process.
//
// urfave/cli has the types of commands and flags, and the values of flags. Its App.Run is
// not used: help on standard output after a mistake, os.Exit inside it and completion
// that runs the tool do harm in a pipeline. execute.go stands in for it.
package cmdline

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// toolbox is the name of the binary. Tool t is also called as toolbox-t.
const toolbox = "mesh"

// Main runs the tool or command that args names and returns the exit status. The base
// name of args[0] decides: mesh-cat is the tool cat; any other name is the toolbox,
// whose next argument is the tool. A command is about this installation, and exists only
// as such an argument: it has no name and no manual page of its own. Main calls the
// constructors anew, because the flags of urfave/cli hold what they parsed.
//
// A standard stream that was closed when the process began is /dev/null here: see
// [Streams.RequireOut].
func Main(tools, commands []func() *cli.Command, args []string, stdin, stdout, stderr *os.File) int {
	ctx, signals, stop := withSignals(context.Background())
	defer stop()
	if len(args) == 0 {
		args = []string{toolbox}
	}
	r := &run{tools: tools, commands: commands, stdin: stdin, stdout: stdout, stderr: stderr, name: toolbox, signals: signals}
	return r.report(r.run(ctx, args))
}

// run is one call of Main, or of Reread.
type run struct {
	tools, commands       []func() *cli.Command
	stdin, stdout, stderr *os.File

	name      string   // of the tool in errors: mesh-cat for "mesh cat" too
	args      []string // argv
	flat, cmd []string // the words of argv before and after the first "--"
	settings  *settings
	log       *daemonLog     // nil but for a tool that runs until it is stopped
	signals   *signals       // nil in Reread
	instead   cli.ActionFunc // runs instead of the tool's action: see Reread
	peer      string         // see ForPeer
}

func (r *run) run(ctx context.Context, args []string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = internal(v, false)
		}
	}()
	r.args = args
	r.flat, r.cmd = splitCommand(args[1:])
	typed := filepath.Base(args[0])
	app := r.toolbox(typed)
	if name, ok := strings.CutPrefix(typed, toolbox+"-"); ok {
		if tool := r.tool(name); tool != nil {
			r.name = toolbox + "-" + name
			app = single(tool, typed)
		}
	}
	r.overrideDefaults(app)
	app.Metadata = map[string]any{runKey: r}
	argv := append([]string{typed}, r.flat...)
	return Cause(ctx, execute(ctx, app, argv))
}

// tool returns the tool called name, or nil.
func (r *run) tool(name string) *cli.Command {
	for _, construct := range r.tools {
		if c := construct(); c.Name == name {
			return c
		}
	}
	return nil
}

// splitCommand splits argv at the first "--". cmd is nil without "--", and empty but
// not nil when nothing follows it. urfave/cli drops the "--", so it would not be
// known where CMD begins.
func splitCommand(argv []string) (flat, cmd []string) {
	i := slices.Index(argv, "--")
	if i < 0 {
		return argv, nil
	}
	return argv[:i], append([]string{}, argv[i+1:]...)
}
