package sharing

import (
	"cmp"
	"errors"
	"os"
	"runtime"
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

// Flags are those of every tool that shares a terminal, but --name; goes begins
// their usage: the flag that they go with.
func Flags(goes string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "size", Usage: goes + ": `sharer|writer|COLSxROWS`", DefaultText: "sharer; without a terminal of our own: writer, 80x24 at first",
			Action: func(_ *cli.Context, text string) error { return size(text, new(host.HostOptions)) },
		},
		&cli.BoolFlag{Name: "control", Usage: goes + ": make a second token, that allows typing", DisableDefaultText: true},
		&cli.StringFlag{Name: "record", Usage: goes + ": record the output to `FILE`, as asciicast v2"},
		&cli.StringFlag{Name: "audit", Usage: goes + ": add to `FILE` who joins, leaves, and types how much"},
		cmdline.History(goes, share.DefaultHistory),
	}
}

// Read reads [Flags] into the options, and checks them. name is the session's.
func Read(c *cli.Context, name string, o *host.HostOptions) error {
	o.Name, o.RecordTo, o.AuditTo = name, c.String("record"), c.String("audit")
	o.History = int(cmdline.SizeOf(c, cmdline.HistoryName))
	o.Log = cmdline.Logger(c)
	if o.In == nil {
		o.Gap = func(err error) { cmdline.Complain(c, err) }
	}
	return size(c.String("size"), o)
}

// Command checks what is to run on a shared terminal; nothing is the user's shell.
func Command(cmd []string) ([]string, error) {
	if !pty.Supported {
		err := proto.Errorf(proto.Usage, "this mesh shares no command's terminal on Windows: that is experimental")
		return nil, proto.Hint(err, "build it with go build -tags conpty ./cmd/mesh")
	}
	if cmd == nil {
		return []string{shell()}, nil
	}
	return cmd, command.Check(cmd)
}

func shell() string {
	name, usual := "SHELL", "/bin/sh"
	if runtime.GOOS == "windows" {
		name, usual = "COMSPEC", "cmd.exe"
	}
	return cmp.Or(os.Getenv(name), usual)
}

// Headless returns the options of a command that has no terminal but the shared
// one: its size is that of who types, and our emulator answers it.
func Headless(cmd []string) (host.HostOptions, error) {
	cmd, err := Command(cmd)
	o := host.HostOptions{Command: cmd, Env: child.TerminalEnviron(os.Environ(), host.EmulatedEnv...)}
	o.Answers, o.Size, o.Cols, o.Rows = true, share.SizeWriter, term.DefaultCols, term.DefaultRows
	return o, err
}

// size reads --size.
func size(text string, o *host.HostOptions) error {
	switch text {
	case "":
	case "sharer":
		o.Size = share.SizeSharer
	case "writer":
		o.Size = share.SizeWriter
	default:
		cols, rows, ok := strings.Cut(text, "x")
		var errs [2]error
		o.Cols, errs[0] = strconv.Atoi(cols)
		o.Rows, errs[1] = strconv.Atoi(rows)
		if !ok || errors.Join(errs[:]...) != nil || o.Cols < 2 || o.Rows < 1 || o.Cols > proto.MaxTermCols || o.Rows > proto.MaxTermRows {
			return proto.Hint(proto.Errorf(proto.Usage, "--size: %q is no size", text), "sharer, writer, or COLSxROWS such as 80x24")
		}
		o.Size = share.SizeFixed
	}
	return nil
}
