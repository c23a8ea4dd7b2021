// Package outgoing holds the files that a tool sends: their flags, the checks before a
// peer is called, and the hints about entries that were not sent.
package outgoing

import (
	"context"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/pipe/files/exclude"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/tools/cmdline"
)

// The values of --symlinks. Without the flag it is linksInside.
const (
	linksInside = "inside"
	linksSkip   = "skip"
)

// Flags returns the flags of every tool that sends files. dryRun is what --dry-run
// does.
func Flags(dryRun string) []cli.Flag {
	return append(excludeFlags(), []cli.Flag{
		&cli.BoolFlag{Name: "archive", Usage: "send the files in FILE, a zip or a tar", DisableDefaultText: true},
		&cli.StringFlag{
			Name: "symlinks", Usage: "`WORD`: inside sends links that stay within the folder, skip sends none (default: inside)",
			Action: func(_ *cli.Context, word string) error {
				if word == linksInside || word == linksSkip {
					return nil
				}
				return proto.Errorf(proto.Usage, "flag --symlinks: %q is not inside or skip", word)
			},
		},
		&cli.BoolFlag{Name: "skip-special", Usage: "skip devices, sockets, FIFOs and other links instead of failing", DisableDefaultText: true},
		&cli.BoolFlag{Name: "dry-run", Usage: dryRun, DisableDefaultText: true},
	}...)
}

// Options are the files, and the values of [Flags].
type Options struct {
	Names []string // files and folders; nil for none

	Symlinks string // the value of the flag, "" if it was not given

	Archive, SkipSpecial, DryRun bool

	Exclude    *exclude.List // nil without patterns
	excludeErr error         // that of a pattern, for Check
}

// Read reads the flags.
func Read(c *cli.Context, names []string) Options {
	o := Options{Archive: c.Bool("archive"), Symlinks: c.String("symlinks"), SkipSpecial: c.Bool("skip-special"), DryRun: c.Bool("dry-run")}
	if len(names) > 0 {
		o.Names = names
	}
	o.Exclude, o.excludeErr = readExcluded(c)
	return o
}

// Check refuses flags and files that do not go together. command is the command line
// up to the flags, and operand what stands between them and the files.
func (o Options) Check(command, operand string) error {
	for _, flag := range []struct {
		name, value string
		given       bool
	}{{"archive", "", o.Archive}, {"symlinks", " " + o.Symlinks, o.Symlinks != ""}, {"skip-special", "", o.SkipSpecial}, {"dry-run", "", o.DryRun}, {excludeName, " PAT", o.Exclude != nil}} {
		if flag.given && o.Names == nil {
			return proto.Hint(proto.Errorf(proto.Usage, "--%s goes with files", flag.name), command+" --"+flag.name+flag.value+" "+operand+"FILE…")
		}
	}
	if o.Archive && len(o.Names) > 1 {
		return proto.Errorf(proto.Usage, "--archive sends one archive")
	}
	return o.excludeErr
}

// CheckFiles finds a missing file, and two of one name, before there is a peer. pipe is
// the command line that sends standard input.
func (o Options) CheckFiles(pipe string) error {
	if o.Archive {
		return files.CheckArchive(o.Names[0])
	}
	for _, name := range o.Names {
		info, err := os.Stat(name)
		if err != nil {
			return proto.IOError(err)
		}
		if len(o.Names) == 1 && !o.SkipSpecial && isStream(info) {
			return errStream(name, pipe)
		}
	}
	return files.CheckNames(o.Names)
}

// isStream reports whether what a name leads to is read without a size: a pipe, or a
// device.
func isStream(info fs.FileInfo) bool { return info.Mode()&(fs.ModeNamedPipe|fs.ModeDevice) != 0 }

// errStream is the error of a pipe or a device as the only FILE. The hint has the
// command that sends it.
func errStream(name, pipe string) error {
	hint := pipe + " < " + name + " sends it as a pipe"
	if strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/") { // the shell's <(CMD)
		hint = "CMD | " + pipe + " sends what CMD prints, and " + pipe + " -- CMD also whether it failed"
	}
	return proto.Hint(proto.Errorf(proto.IO, "%s is not a file but a pipe or a device, which has no size", name), hint)
}

// send returns the options of a transfer over a link, which is nil for a list.
func (o Options) send(l *link.Link, p *files.Progress, begun func(), report func(path string, err error)) files.SendOptions {
	minor1 := l != nil && l.Minor >= 1
	return files.SendOptions{Holes: minor1, Links: minor1, Archive: o.Archive, SkipSymlinks: o.Symlinks == linksSkip, SkipSpecial: o.SkipSpecial, Exclude: o.Exclude, Progress: p, Begun: begun, Report: report}
}

// Tune sets the Go runtime up for what is sent.
func (o Options) Tune() {
	if !o.DryRun && !o.Archive { // the list of an archive's entries needs memory
		cmdline.LittleMemory()
	}
}

// side is one side of a transfer of files.
type side = func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error)

// Side returns the sender's side of a transfer over a link. It counts in p, which may be
// nil. begun, if it is set, is called when the receiver has answered first, report for each
// entry that is not sent or not stored.
func (o Options) Side(l *link.Link, p *files.Progress, met *Met, begun func(), report func(path string, err error)) side {
	return func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Send(ctx, o.Names, from, to, o.send(l, p, begun, met.watch(report)))
	}
}

// OfferSide is [Options.Side] for a receiver that first says what it wants.
func (o Options) OfferSide(l *link.Link, p *files.Progress, met *Met, begun func(), report func(path string, err error)) side {
	return func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Offer(ctx, o.Names, from, to, o.send(l, p, begun, met.watch(report)))
	}
}
