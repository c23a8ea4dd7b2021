package cat

import (
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

// options are the flags and arguments of mesh-cat.
type options struct {
	node    nodeflags.Options
	peer    node.PeerText
	names   []string // files and folders to send; nil for a pipe
	command []string // whose output is sent; nil for standard input
	wait    time.Duration

	archive, symlinks, skipSpecial, dryRun bool
}

func optionsOf(c *cli.Context) (options, error) {
	args, cmd, err := cmdline.SplitCommand(c, 0, -1)
	if err != nil {
		return options{}, err
	}
	peer, names, err := node.PeerOf(args, os.Getenv(node.EnvPeer))
	if err != nil {
		return options{}, err
	}
	o := options{
		node: nodeflags.Read(c), peer: peer, command: cmd, wait: c.Duration("wait"),
		archive: c.Bool("archive"), symlinks: c.Bool("symlinks"), skipSpecial: c.Bool("skip-special"), dryRun: c.Bool("dry-run"),
	}
	if len(names) > 0 {
		o.names = names
	}
	return o, o.check()
}

// check refuses flags and arguments that do not go together.
func (o options) check() error {
	for _, flag := range []struct {
		name  string
		given bool
	}{{"archive", o.archive}, {"symlinks", o.symlinks}, {"skip-special", o.skipSpecial}, {"dry-run", o.dryRun}} {
		if flag.given && o.names == nil {
			return proto.Hint(proto.Errorf(proto.Usage, "--%s goes with files", flag.name), "mesh-cat --"+flag.name+" PEER FILE…")
		}
	}
	switch {
	case o.names != nil && o.command != nil:
		return proto.Errorf(proto.Usage, "either files or a command can be sent")
	case o.archive && len(o.names) > 1:
		return proto.Errorf(proto.Usage, "--archive sends one archive")
	}
	return nil
}

// checkFiles finds a missing file before a peer is called.
func (o options) checkFiles() error {
	if o.archive {
		return files.CheckArchive(o.names[0])
	}
	for _, name := range o.names {
		info, err := os.Stat(name)
		if err != nil {
			return proto.IOError(err)
		}
		if len(o.names) == 1 && !o.skipSpecial && isStream(info) {
			return errStream(name)
		}
	}
	return nil
}

// isStream reports whether what a name leads to is read without a size: a pipe, or a
// device.
func isStream(info fs.FileInfo) bool { return info.Mode()&(fs.ModeNamedPipe|fs.ModeDevice) != 0 }

// errStream is the error of a pipe or a device as the only FILE. The hint has the
// command that sends it.
func errStream(name string) error {
	hint := "mesh-cat PEER < " + name + " sends what is read from it"
	if strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/") { // the shell's <(CMD)
		hint = "CMD | mesh-cat PEER sends what CMD prints, and mesh-cat PEER -- CMD also whether it failed"
	}
	return proto.Hint(proto.Errorf(proto.IO, "%s is not a file but a pipe or a device, which has no size", name), hint)
}

// tuneProcess sets the Go runtime up for what is sent.
func (o options) tuneProcess() {
	switch {
	case o.dryRun:
	case o.names == nil:
		cmdline.Bulk()
	case !o.archive: // the list of an archive's entries needs memory
		cmdline.LittleMemory()
		cmdline.OneProcessor()
	}
}

// sendOptions are those of a transfer of files.
func (o options) sendOptions(report func(path string, err error)) files.SendOptions {
	return files.SendOptions{Archive: o.archive, Symlinks: o.symlinks, SkipSpecial: o.skipSpecial, Report: report}
}
