package sharing

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/pipe/child"
	"mesh/pipe/term"
	"mesh/pipe/term/host"
	"mesh/pipe/term/pty"
	"mesh/pipe/term/share"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/command"
)

// Flags returns the flags of every tool that shares a terminal. prefix begins their
// usage: the flag that they go with.
func Flags(prefix string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "size", Usage: prefix + ": the size of the terminal, `sharer|writer|COLSxROWS`", DefaultText: "sharer; without a terminal here: writer, at first 80x24",
			Action: func(_ *cli.Context, text string) error { _, err := parseSize(text); return err },
		},
		&cli.BoolFlag{Name: "control", Usage: prefix + ": make a second token, whose bearer may type", DisableDefaultText: true},
		&cli.StringFlag{Name: "record", Usage: prefix + ": record the output to `FILE`, as asciicast v2"},
		&cli.StringFlag{Name: "audit", Usage: prefix + ": append to `FILE` who joins, who leaves, and how much each one types"},
		cmdline.History(prefix, share.DefaultHistory),
	}
}

// Options describe a shared terminal: the values of [Flags], and what is shared.
type Options struct {
	Name    string // of the session; "" for none
	Size    Size
	Control bool   // make a second token, whose bearer may type
	Record  string // a file; "" for none
	Audit   string // a file; "" for none
	History int    // bytes of output kept for slow viewers
	Verbose int    // how often -v is given

	// Command is what runs on the terminal; nil for the user's shell.
	Command []string
	// Headless runs the command without a terminal on this side.
	Headless bool
	// Stream shares standard input instead of a command.
	Stream bool
	// Titles shows in the title of the terminal here who watches.
	Titles bool

	Environ   []string // of this process
	SocketDir string   // for the sockets of sessions
}

// Size is the value of --size. The zero value is the default.
type Size struct {
	set        bool
	policy     share.SizePolicy
	cols, rows int // of share.SizeFixed
}

// Read reads [Flags], and what an environment gives.
func Read(c *cli.Context) (Options, error) {
	o := Options{
		Control: c.Bool("control"), Record: c.String("record"), Audit: c.String("audit"),
		History: int(cmdline.SizeOf(c, cmdline.HistoryName)), Verbose: c.Count("verbose"), Environ: os.Environ(),
	}
	var err error
	if o.Size, err = parseSize(c.String("size")); err != nil {
		return o, err
	}
	o.SocketDir, err = cmdline.SocketDir()
	return o, err
}

func parseSize(text string) (Size, error) {
	switch text {
	case "":
		return Size{}, nil
	case "sharer":
		return Size{set: true, policy: share.SizeSharer}, nil
	case "writer":
		return Size{set: true, policy: share.SizeWriter}, nil
	}
	left, right, ok := strings.Cut(text, "x")
	cols, err1 := strconv.Atoi(left)
	rows, err2 := strconv.Atoi(right)
	if !ok || err1 != nil || err2 != nil || cols < 2 || rows < 1 || cols > proto.MaxTermCols || rows > proto.MaxTermRows {
		return Size{}, proto.Hint(proto.Errorf(proto.Usage, "--size: %q is not a size", text), "sharer, writer, or COLSxROWS, for example 80x24")
	}
	return Size{set: true, policy: share.SizeFixed, cols: cols, rows: rows}, nil
}

// Label returns what the session is called: its name, else the command, "" for a stream.
func (o Options) Label() string {
	switch {
	case o.Name != "" || o.Stream:
		return o.Name
	case o.Command != nil:
		return filepath.Base(o.Command[0])
	}
	return filepath.Base(shell(o.Environ))
}

// Check returns an error if what the options describe cannot be shared on these
// streams.
func (o Options) Check(s cmdline.Streams) error {
	switch {
	case o.Stream && (o.Command != nil || o.Headless):
		return proto.Errorf(proto.Usage, "either standard input or a command can be shared")
	case o.Stream:
		return nil
	case !o.Headless && (!term.IsTerminal(s.In) || !term.IsTerminal(s.Out)):
		return noTerminal(term.IsTerminal(s.In), term.IsTerminal(s.Out))
	case !pty.Supported:
		err := proto.Errorf(proto.Usage, "this mesh cannot share the terminal of a command on Windows, where that is experimental")
		return proto.Hint(err, "build it with go build -tags conpty ./cmd/mesh")
	case o.Command != nil:
		return command.Check(o.Command)
	}
	return nil
}

// noTerminal returns the error of a command that is shared with standard input or output
// that is no terminal.
func noTerminal(in, out bool) error {
	what := "standard input and output are not a terminal"
	switch {
	case in:
		what = "standard output is not a terminal"
	case out:
		what = "standard input is not a terminal"
	}
	return proto.Hint(proto.Errorf(proto.Usage, "%s", what), "--headless shares without one; --record FILE keeps the output")
}

// host returns the options of the session's host. They must have passed Check.
func (o Options) host(s cmdline.Streams) host.Options {
	h := host.Options{RecordTo: o.Record, AuditTo: o.Audit, SocketDir: o.SocketDir}
	h.Name, h.History, h.Log = o.Name, o.History, s.Logger(o.Verbose)
	h.Cols, h.Rows = term.DefaultCols, term.DefaultRows
	out, _ := s.Out.(*os.File)
	if !o.Headless && term.IsTerminal(out) {
		h.Cols, h.Rows = term.Size(out)
	}
	switch {
	case o.Stream:
		h.Stream, h.Next = s.In, s.Sink().Writer
	case o.Headless: // nothing but the emulator answers the command's queries
		h.Env, h.Answers, h.Size = child.TerminalEnviron(o.Environ, host.EmulatedEnv...), true, share.SizeWriter
	default:
		h.In, _ = s.In.(*os.File)
		h.Out, h.Titles, h.Env, h.Term = out, o.Titles, o.Environ, lookup(o.Environ, "TERM")
		h.ColorTerm = lookup(o.Environ, "COLORTERM")
	}
	if h.In == nil {
		h.Gap = s.Complain
	}
	if !o.Stream {
		h.Command = o.Command
		if h.Command == nil {
			h.Command = []string{shell(o.Environ)}
		}
	}
	if o.Size.set {
		h.Size = o.Size.policy
	}
	if o.Size.cols > 0 {
		h.Cols, h.Rows = o.Size.cols, o.Size.rows
	}
	return h
}

// shell returns the user's shell.
func shell(environ []string) string {
	if runtime.GOOS == "windows" {
		return cmp.Or(lookup(environ, "COMSPEC"), "cmd.exe")
	}
	return cmp.Or(lookup(environ, "SHELL"), "/bin/sh")
}

// lookup returns the value of a variable, "" if it is not set.
func lookup(environ []string, name string) string {
	i := slices.IndexFunc(environ, func(v string) bool {
		n, _, ok := strings.Cut(v, "=")
		return ok && (n == name || runtime.GOOS == "windows" && strings.EqualFold(n, name))
	})
	if i < 0 {
		return ""
	}
	return environ[i][len(name)+1:]
}
