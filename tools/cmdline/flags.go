package cmdline

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/pipe/ratelimit"
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/path"
)

// DefaultTTL is the default of --ttl.
const DefaultTTL = 10 * time.Minute

// Names of the shared flags that this package reads itself.
const (
	verboseName  = "verbose"
	eventsName   = "events"
	deadlineName = "deadline"
	quietName    = "quiet"
)

// Verbose is -v, --verbose, for [Streams.Logger]. It may be repeated.
func Verbose() cli.Flag {
	return &cli.BoolFlag{
		Name: verboseName, Aliases: []string{"v"}, Count: new(int), DisableDefaultText: true,
		Usage: "report on stderr what happens; -vv: every step",
	}
}

// Quiet is -q, --quiet: neither progress nor receipt. Errors are still printed.
func Quiet() cli.Flag {
	return &cli.BoolFlag{
		Name: quietName, Aliases: []string{"q"}, DisableDefaultText: true,
		Usage: "show neither progress nor receipt",
	}
}

// Events is --events FD|FILE: one JSON object a line for scripts.
func Events() cli.Flag {
	return &cli.StringFlag{
		Name:  eventsName,
		Usage: "write events to `FD|FILE`, one JSON object a line",
	}
}

// Listen is --listen ADDR, for every tool that can wait for a peer. Empty means all
// addresses and a free port.
func Listen() cli.Flag {
	return &cli.StringFlag{
		Name: "listen", DefaultText: "a free port; of a listener for many peers 4600",
		Usage: "wait for the peer at `ADDR`: HOST, :PORT or HOST:PORT",
	}
}

// TokenFile is --token-file FILE, for every tool that makes a token.
func TokenFile() cli.Flag {
	return &cli.StringFlag{
		Name:  "token-file",
		Usage: "write the token to `FILE`, with mode 0600",
	}
}

// TokenOnly is --token-only, for every tool that waits for a peer.
func TokenOnly() cli.Flag {
	return &cli.BoolFlag{
		Name: "token-only", DisableDefaultText: true,
		Usage: "accept no peer without a token: nodes that mesh-token allow lists need one too",
	}
}

// ShowToken is --show-token, for every tool that makes a token.
func ShowToken() cli.Flag {
	return &cli.BoolFlag{
		Name: "show-token", DisableDefaultText: true,
		Usage: "print the token on stderr, also where it may get into a log",
	}
}

// QR is --qr, for every tool that shows a token or a code.
func QR() cli.Flag {
	return &cli.BoolFlag{
		Name: "qr", DisableDefaultText: true,
		Usage: "draw the token or the code that is shown as a QR code too, on a terminal",
	}
}

// Copy is --copy, for every tool that shows a token or a code.
func Copy() cli.Flag {
	return &cli.BoolFlag{
		Name: "copy", DisableDefaultText: true,
		Usage: "put the command for the other side into the clipboard of the terminal (OSC 52)",
	}
}

// TTL is --ttl DUR, for every tool that makes a token.
func TTL() *cli.GenericFlag {
	return durationFlag("ttl", "let the token expire after `DUR`", DefaultTTL, positive("ttl"))
}

// Wait is --wait DUR, for every tool that links. Zero means that a dialer tries once,
// and that a listener waits until its token expires.
func Wait() cli.Flag {
	f := durationFlag("wait", "wait up to `DUR` for the peer", 0, positive("wait"))
	f.DefaultText = "a dialer tries once, a listener waits until its token expires"
	return f
}

// JobName is the name of the flag --job NAME, which also chooses the settings of
// [jobs.NAME].
const JobName = "job"

// RetryFor is --retry-for DUR, for every tool that makes one transfer.
func RetryFor() cli.Flag {
	const name = "retry-for"
	f := durationFlag(name, "begin again after a status of 10 to 13, until `DUR` after the start", 0, positive(name))
	f.DefaultText = "never"
	return f
}

// Lag is --lag DUR.
func Lag(def time.Duration) cli.Flag {
	f := durationFlag("lag", "several peers: drop one that holds --need others up for `DUR` in all, 0: never", def, notNegative("lag"))
	f.DefaultText = def.String()
	return f
}

// Linger is --linger DUR.
func Linger() cli.Flag {
	f := durationFlag("linger", "view: with --input, end when nothing is printed for `DUR`, whatever runs", 0, positive("linger"))
	f.DefaultText = "300ms"
	return f
}

// Deadline is --deadline DUR. It ends the context of the tool's action, with
// [proto.Timeout] as the cause. The tool does not read it.
func Deadline() cli.Flag {
	f := durationFlag(deadlineName, "end with status 11 if the tool runs longer than `DUR`", 0, positive(deadlineName))
	f.DefaultText = "none"
	return f
}

// OnReceiveTimeout is --on-receive-timeout DUR, for an inbox.
func OnReceiveTimeout() cli.Flag {
	const name = "on-receive-timeout"
	f := durationFlag(name, "end the CMD of --on-receive after `DUR`", 0, positive(name))
	f.DefaultText = "never"
	return f
}

// DefaultResumeFor is the default of --resume-for.
const DefaultResumeFor = 2 * time.Minute

// ResumeFor is --resume-for DUR. 0 turns resuming off.
func ResumeFor() cli.Flag {
	return durationFlag("resume-for", "resume a link that was broken for up to `DUR`; 0: never", DefaultResumeFor, notNegative("resume-for"))
}

// Names of the flags for the unacknowledged bytes that a sender keeps: see [SizeOf].
const (
	WindowName = "window"
	SpoolName  = "spool"
)

// MinPipeWindow is the smallest window of a pipe. Only terminals have smaller ones.
const MinPipeWindow = 1 << 20

// Window is --window SIZE.
func Window() cli.Flag {
	return sizeFlag(WindowName, "keep up to `SIZE` of unacknowledged bytes in memory", proto.WindowBytes, MinPipeWindow, proto.MaxWindowBytes)
}

// Spool is --spool SIZE.
func Spool() cli.Flag {
	return sizeFlag(SpoolName, "keep up to `SIZE` more of them in a file, so that the source need not wait; 0: none", 0, 0, math.MaxInt64)
}

const limitRateName = "limit-rate"

// LimitRate is --limit-rate RATE. [ParseLimit] reads its value.
func LimitRate() cli.Flag {
	return &cli.StringFlag{
		Name: limitRateName, DefaultText: "no limit",
		Usage: "move at most `RATE` bytes/s each way: 512k, or by time \"4M, 08:00-18:00 512k, Sa-Su 0\"",
		Action: func(_ *cli.Context, text string) error {
			_, err := ParseLimit(text)
			return err
		},
	}
}

// ParseLimit returns the value of --limit-rate; "" is no limit.
func ParseLimit(text string) (ratelimit.Schedule, error) {
	if text == "" {
		return ratelimit.Schedule{}, nil
	}
	s, err := ratelimit.ParseSchedule(text)
	if err != nil {
		return s, fmt.Errorf("flag --%s: %w", limitRateName, err)
	}
	return s, nil
}

// MaxSizeName is the name of the flag [MaxSize].
const MaxSizeName = "max-size"

// MaxSize is --max-size SIZE. [SizeOf] returns 0 for no limit.
func MaxSize() cli.Flag {
	f := sizeFlag(MaxSizeName, "accept at most `SIZE` of files in total", 0, 1, math.MaxInt64)
	f.DefaultText = "no limit"
	return f
}

// MaxFilesName is the name of the flag for the number of entries of a transfer. Its
// value is 0 for no limit.
const MaxFilesName = "max-files"

// StoreFlags returns the flags of every tool that stores files in a folder DIR.
func StoreFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "store a pipe in DIR as `NAME`; {date}, {time} and {host} are filled in"},
		&cli.BoolFlag{Name: "force", Usage: "replace existing files", DisableDefaultText: true},
		&cli.BoolFlag{Name: "rename", Usage: "if a name is taken in DIR, store the file as \"name (2)\"", DisableDefaultText: true},
		&cli.BoolFlag{Name: "portable", Usage: "refuse names that are not valid on every system", DisableDefaultText: true},
		&cli.BoolFlag{Name: "any-names", Usage: "accept names with control characters too", DisableDefaultText: true},
		MaxSize(),
		&cli.Int64Flag{
			Name: MaxFilesName, Usage: "accept at most `N` files and folders", DefaultText: "no limit",
			Action: func(_ *cli.Context, n int64) error {
				if n < 1 {
					return proto.Errorf(proto.Usage, "--%s is at least 1", MaxFilesName)
				}
				return nil
			},
		},
	}
}

// StoreOptions returns the values of [StoreFlags] but the name.
func StoreOptions(c *cli.Context) files.ReceiveOptions {
	return files.ReceiveOptions{
		Force: c.Bool("force"), Rename: c.Bool("rename"), Portable: c.Bool("portable"), AnyNames: c.Bool("any-names"),
		MaxBytes: SizeOf(c, MaxSizeName), MaxEntries: c.Int64(MaxFilesName),
	}
}

// HistoryName is the name of the flag [History].
const HistoryName = "history"

// History is --history SIZE, for a shared terminal. prefix begins its usage.
func History(prefix string, size Size) cli.Flag {
	return sizeFlag(HistoryName, prefix+": keep `SIZE` of output for slow viewers", size, 32<<10, 1<<30)
}

const flowsName = "flows"

// Flows is --flows N|auto, for every tool that can dial. [FlowsOf] reads it.
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

// FlowsOf returns the value of --flows, 0 for auto.
func FlowsOf(c *cli.Context) int {
	n, _ := strconv.Atoi(c.String(flowsName)) // 0 for "auto", and for values that Flows refuses
	return n
}

// auto is the value of --flows that leaves the choice to the tool.
const auto = "auto"

// Via is --via WORD[,WORD].
func Via() cli.Flag {
	return &cli.StringFlag{
		Name: "via", Value: path.Via{}.String(),
		Usage: "link over `WORD`: " + strings.Join(path.ViaWords, ", "),
		Action: func(_ *cli.Context, text string) error {
			if _, err := path.ParseVia(text); err != nil {
				return proto.Errorf(proto.Usage, "flag --via: %w", err)
			}
			return nil
		},
	}
}

// ViaOf returns the value of --via.
func ViaOf(c *cli.Context) path.Via {
	v, _ := path.ParseVia(c.String("via")) // the zero value for what Via refuses
	return v
}

// Hub is --hub URL|none. [ParseHubs] reads its value.
func Hub() cli.Flag {
	return &cli.StringFlag{
		Name: "hub", DefaultText: "the hubs of mesh-hub join",
		Usage:  "find peers by their names at the hub `URL`; none: ask no hub",
		Action: func(_ *cli.Context, text string) error { _, _, err := ParseHubs(text); return err },
	}
}

// NoHub is the value of --hub with which no hub is asked.
const NoHub = "none"

// ParseHubs returns the hubs in the value of --hub, which spaces separate. given is false
// if the hubs of mesh-hub join are meant.
func ParseHubs(text string) (hubs []hub.URL, given bool, err error) {
	words := strings.Fields(text)
	for _, word := range words {
		if word == NoHub && len(words) == 1 {
			return nil, true, nil
		}
		u, err := hub.ParseURL(word)
		if err != nil {
			return nil, true, &proto.Error{Code: proto.Usage, Err: err}
		}
		hubs = append(hubs, u)
	}
	return hubs, len(words) > 0, nil
}

// trustWords are the values of --trust, the surest first.
var trustWords = []string{"pinned", "issued", "code", "hub"}

// Trust is --trust WORD, for every tool that can dial.
func Trust() cli.Flag {
	return &cli.StringFlag{
		Name: "trust", DefaultText: "code; a person is asked about a key that a hub names",
		Usage: "link only to a peer whose key is at least `WORD`: pinned (known here), issued (vouched for), code, or hub (its word)",
		Action: func(_ *cli.Context, word string) error {
			if slices.Contains(trustWords, word) {
				return nil
			}
			return proto.Errorf(proto.Usage, "flag --trust: %q is none of %s", word, strings.Join(trustWords, ", "))
		},
	}
}

// As is --as NAME, for every tool that waits for a peer.
func As() cli.Flag {
	return &cli.StringFlag{
		Name: "as", DefaultText: "none; of a listener for many peers the host name",
		Usage: "be called `NAME` at the hub",
	}
}

// Room is --room ROOM, for every tool that waits for a peer. It can be repeated.
func Room() cli.Flag {
	return &cli.StringSliceFlag{
		Name:  "room",
		Usage: "be in `ROOM` at the hub, where its other members find this node",
	}
}

// Addr is --addr HOST:PORT, for the addresses in a token. It can be repeated.
func Addr() cli.Flag {
	return &cli.StringSliceFlag{
		Name:  "addr",
		Usage: "put `HOST[:PORT]` into the token, where this machine can be reached; may be repeated",
	}
}

// notNegative returns a check of a flag's duration, which may be 0.
func notNegative(name string) func(time.Duration) error {
	return func(d time.Duration) error {
		if d >= 0 {
			return nil
		}
		return proto.Errorf(proto.Usage, "flag --%s: %v is negative", name, d)
	}
}

// positive returns a check that refuses a duration of zero or less.
func positive(name string) func(time.Duration) error {
	return func(d time.Duration) error {
		if d > 0 {
			return nil
		}
		return proto.Errorf(proto.Usage, "flag --%s: %v is not a positive duration", name, d)
	}
}
