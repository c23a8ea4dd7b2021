// Package cmdline is the edge between the process and the tools: it finds the
// tool that argv asks for, gives it a context that signals end, shares flags
// and their words among the tools, prints errors and turns them into the exit
// status. It is the only package that knows signals and os.Exit.
//
// urfave/cli parses the flags; every habit of it that a tool of pipes cannot
// have (help on standard output after a mistake, os.Exit inside Run, completion
// that runs the tool) is turned off in one walk over the command tree, in
// app.go.
package cmdline

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term/console"
	"mesh/proto"
)

// toolbox is the name of the binary; tool t is also called as toolbox-t.
const toolbox = "mesh"

// Main runs the tool that args asks for and returns the exit status. The base
// name of args[0] decides: mesh-cat is the tool cat, any other name is the
// toolbox, where the tool is the next argument. Each constructor in tools is
// called anew, because flags of urfave/cli hold what they parsed.
//
// A standard stream that was closed when the process began is /dev/null: the
// Go runtime opens it before main, so that a socket never becomes descriptor 1,
// and nothing can tell the two cases apart afterwards.
func Main(tools []func() *cli.Command, args []string, stdin, stdout, stderr *os.File) int {
	if console.IsGuard(args) {
		console.Guard(stdin, stdout, stderr)
		return int(proto.OK)
	}
	ctx, signals, stop := withSignals(context.Background())
	defer stop()
	if len(args) == 0 {
		args = []string{toolbox}
	}
	r := &run{tools: tools, stdin: stdin, stdout: stdout, stderr: stderr, name: toolbox, signals: signals}
	return r.report(r.run(ctx, args))
}

// run is one call of Main.
type run struct {
	tools                 []func() *cli.Command
	stdin, stdout, stderr *os.File

	name      string   // of the tool, as errors show it: mesh-cat for mesh cat too
	args      []string // argv
	flat, cmd []string // the words of argv before and after the first "--"
	settings  *settings
	signals   *signals
	instead   cli.ActionFunc // of the tool's action: see Reread
}

func (r *run) run(ctx context.Context, args []string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = internal(v, false)
		}
	}()
	r.args = args
	r.flat, r.cmd = split(args[1:])
	typed := filepath.Base(args[0])
	app := r.toolbox(typed)
	if name, ok := strings.CutPrefix(typed, toolbox+"-"); ok {
		if tool := r.tool(name); tool != nil {
			r.name = toolbox + "-" + name
			app = single(tool, typed)
		}
	}
	r.settle(app)
	app.Metadata = map[string]any{runKey: r}
	argv := append([]string{typed}, r.flat...)
	return cause(ctx, app.RunContext(ctx, argv))
}

// tool makes the tool called name, or nil.
func (r *run) tool(name string) *cli.Command {
	for _, construct := range r.tools {
		if c := construct(); c.Name == name {
			return c
		}
	}
	return nil
}

// split cuts argv at the first "--", which is the last word of ours: urfave/cli
// drops it, and with it the only sign of where CMD begins. cmd is nil without
// "--", and empty but not nil when nothing follows it.
func split(argv []string) (flat, cmd []string) {
	i := slices.Index(argv, "--")
	if i < 0 {
		return argv, nil
	}
	return argv[:i], append([]string{}, argv[i+1:]...)
}

// heapGrowth is the GC percentage of a tool that moves bytes. Its heap is few
// objects, and those large, so that a collection costs next to nothing: what
// the default leaves uncollected only adds to the peak. But it holds only from
// the first collection on, which the default puts off until there are 4 MiB: a
// small message needs none, and would wait for it.
const heapGrowth = 25

// Bulk sets the Go runtime up for a tool that moves bytes over one link, where
// handing each packet to another processor costs more than it gains (see
// PERFORMANCE.md). GOMAXPROCS and GOGC in the environment come first.
func Bulk() {
	OneProcessor()
	if os.Getenv("GOGC") == "" {
		runtime.AddCleanup(new([64]byte), func(percent int) { debug.SetGCPercent(percent) }, heapGrowth)
	}
}

// OneProcessor is the part of [Bulk] that also who sends files is faster with.
func OneProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// memoryLimit is from where on the garbage of a process that moves files is
// collected more often: with a million names in one folder, it would else need
// more than 64 MiB.
const memoryLimit = 48 << 20

// filesGrowth is the GC percentage up to that limit: what is needed for a file is
// garbage soon, and little of the heap is anything else.
const filesGrowth = 400

// LittleMemory makes the process need little memory, unless GOMEMLIMIT is set in
// the environment. For tools that move files.
func LittleMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(memoryLimit)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(filesGrowth)
	}
}

// wrongTool is the answer to a first word that is no tool.
func wrongTool(name string) error {
	return proto.Hint(proto.Errorf(proto.Usage, "unknown tool %s", quoted(name)), `"mesh" lists the tools`)
}
