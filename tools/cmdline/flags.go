package cmdline

import (
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// DefaultTTL is how long a token lives that --ttl says nothing about.
const DefaultTTL = 10 * time.Minute

// Names of the shared flags that this package reads itself.
const (
	verboseName  = "verbose"
	eventsName   = "events"
	deadlineName = "deadline"
)

// Verbose is -v, --verbose: -v for what happens, -vv for every step. [Logger]
// reads it.
func Verbose() cli.Flag {
	return &cli.BoolFlag{
		Name: verboseName, Aliases: []string{"v"}, Count: new(int), DisableDefaultText: true,
		Usage: "say on stderr what happens; -vv says every step",
	}
}

// Quiet is -q, --quiet: no progress, no receipt. Errors are still said.
func Quiet() cli.Flag {
	return &cli.BoolFlag{
		Name: "quiet", Aliases: []string{"q"}, DisableDefaultText: true,
		Usage: "show neither progress nor receipt",
	}
}

// Events is --events FD|FILE: one JSON object a line for scripts.
func Events() cli.Flag {
	return &cli.StringFlag{
		Name:  eventsName,
		Usage: "write one JSON object a line for each event to `FD|FILE`",
	}
}

// Listen is --listen ADDR, for every tool that can wait for a peer. Empty
// means any address and a free port.
func Listen() cli.Flag {
	return &cli.StringFlag{
		Name: "listen", DefaultText: ":0, a free port",
		Usage: "wait for the peer at `ADDR`",
	}
}

// TokenFile is --token-file FILE, for every tool that makes a token.
func TokenFile() cli.Flag {
	return &cli.StringFlag{
		Name:  "token-file",
		Usage: "write the token to `FILE` (whole, mode 0600)",
	}
}

// TTL is --ttl DUR, for every tool that makes a token.
func TTL() *cli.GenericFlag {
	return durationFlag("ttl", "let the token expire after `DUR`", DefaultTTL, positive("ttl"))
}

// Wait is --wait DUR, for every tool that links. Zero means that a caller's
// first dial must do, and that a listener waits as long as its token lives.
func Wait() cli.Flag {
	f := durationFlag("wait", "wait up to `DUR` for the peer to be there", 0, positive("wait"))
	f.DefaultText = "a caller dials once, a listener waits"
	return f
}

// Deadline is --deadline DUR. The context of the tool's action ends by it,
// with [proto.Timeout] as the cause; the tool itself does nothing about it.
func Deadline() cli.Flag {
	f := durationFlag(deadlineName, "end with 11 when all of it takes longer than `DUR`", 0, positive(deadlineName))
	f.DefaultText = "none"
	return f
}

// OnReceiveTimeout is --on-receive-timeout DUR, of an inbox.
func OnReceiveTimeout() cli.Flag {
	const name = "on-receive-timeout"
	f := durationFlag(name, "end a CMD for what was stored after `DUR`", 0, positive(name))
	f.DefaultText = "never"
	return f
}

// DefaultResumeFor is how long a link may stay broken that --resume-for says
// nothing about.
const DefaultResumeFor = 2 * time.Minute

// ResumeFor is --resume-for DUR; 0 turns resuming off.
func ResumeFor() cli.Flag {
	return durationFlag("resume-for", "let a broken link stay broken for `DUR`; 0: not at all", DefaultResumeFor, func(d time.Duration) error {
		if d >= 0 {
			return nil
		}
		return proto.Errorf(proto.Usage, "flag --resume-for: %v is negative", d)
	})
}

// Names of the flags that say how much is kept of what is sent: [SizeOf].
const (
	WindowName = "window"
	SpoolName  = "spool"
)

// minPipeWindow is the least window for a pipe; what is less is for terminals.
const minPipeWindow = 1 << 20

// Window is --window SIZE.
func Window() cli.Flag {
	return sizeFlag(WindowName, "keep `SIZE` in memory of what the other side has not taken", proto.WindowBytes, minPipeWindow, proto.MaxWindowBytes)
}

// Spool is --spool SIZE.
func Spool() cli.Flag {
	return sizeFlag(SpoolName, "keep up to `SIZE` of it in a file, so that the source need not wait; 0: no", 0, 0, math.MaxInt64)
}

// MaxSizeName is the flag's of [MaxSize].
const MaxSizeName = "max-size"

// MaxSize is --max-size SIZE; [SizeOf] returns 0 for no limit.
func MaxSize() cli.Flag {
	f := sizeFlag(MaxSizeName, "take at most `SIZE` of files in all", 0, 1, math.MaxInt64)
	f.DefaultText = "no limit"
	return f
}

// MaxFilesName is the flag's of the most entries of a transfer; 0 for no limit.
const MaxFilesName = "max-files"

// StoreFlags are those of every tool that stores files in a folder DIR.
func StoreFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "store a pipe in DIR as `NAME`"},
		&cli.BoolFlag{Name: "force", Usage: "let files replace existing ones", DisableDefaultText: true},
		&cli.BoolFlag{Name: "rename", Usage: "store a file whose name is taken in DIR as \"name (2)\"", DisableDefaultText: true},
		&cli.BoolFlag{Name: "portable", Usage: "refuse names that some system can't store", DisableDefaultText: true},
		MaxSize(),
		&cli.Int64Flag{
			Name: MaxFilesName, Usage: "take at most `N` files and folders", DefaultText: "no limit",
			Action: func(_ *cli.Context, n int64) error {
				if n < 1 {
					return proto.Errorf(proto.Usage, "--%s is at least 1", MaxFilesName)
				}
				return nil
			},
		},
	}
}

// HistoryName is the flag's of [History].
const HistoryName = "history"

// History is --history SIZE, of what is shared; goes begins its usage.
func History(goes string, size Size) cli.Flag {
	return sizeFlag(HistoryName, goes+": hold `SIZE` of output for viewers that are slow", size, 32<<10, 1<<30)
}

const flowsName = "flows"

// Flows is --flows N|auto, for every tool that can call. [FlowsOf] reads it.
func Flows() cli.Flag {
	return &cli.StringFlag{
		Name: flowsName, Value: auto,
		Usage: "spread the transfer over `N|auto` connections",
		Action: func(c *cli.Context, text string) error {
			if n := FlowsOf(c); text != auto && (n < 1 || n > proto.MaxFlows || strconv.Itoa(n) != text) {
				return proto.Errorf(proto.Usage, "flag --flows: %q is not auto or 1 to %d", text, proto.MaxFlows)
			}
			return nil
		},
	}
}

// FlowsOf returns what --flows says, 0 for auto.
func FlowsOf(c *cli.Context) int {
	n, _ := strconv.Atoi(c.String(flowsName)) // 0 for "auto", and for what Flows refuses
	return n
}

// auto is the --via and the --flows that leave it to the tool.
const auto = "auto"

// Via is --via CARRIER.
func Via() cli.Flag {
	return &cli.StringFlag{
		Name: "via", Value: auto,
		Usage: "link over `CARRIER`: auto, quic or tcp",
		Action: func(_ *cli.Context, via string) error {
			if via == auto || via == proto.ViaQUIC || via == proto.ViaTCP {
				return nil
			}
			return proto.Errorf(proto.Usage, "flag --via: %q is not auto, quic or tcp", via)
		},
	}
}

// Addr is --addr HOST:PORT, which can be repeated.
func Addr() cli.Flag {
	return &cli.StringSliceFlag{
		Name:  "addr",
		Usage: "put `HOST:PORT` into the token as an address of ours; may be repeated",
	}
}

// positive refuses a duration flag's value of zero or less.
func positive(name string) func(time.Duration) error {
	return func(d time.Duration) error {
		if d > 0 {
			return nil
		}
		return proto.Errorf(proto.Usage, "flag --%s: %v is not a positive duration", name, d)
	}
}

// Logger returns the tool's log: nothing without -v, phrases with keys on
// stderr with it, every step with -vv.
func Logger(c *cli.Context) *slog.Logger {
	level := slog.LevelInfo
	switch n := c.Count(verboseName); {
	case n < 1: // -1 when unset
		return slog.New(slog.DiscardHandler)
	case n > 1:
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
