package recv

import (
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/job"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/runs"
)

// options are the flags and arguments of mesh-recv.
type options struct {
	node  nodeflags.Options
	peer  *node.PeerText // to dial; nil to wait for one
	names []string       // of what the peer offers; nil for all
	offer node.Offer     // for the peer to wait for
	runs  runs.Options

	output    string // -o: a file, "-" or "" for standard output
	directory string // -C
	name      string // of a pipe in directory, with the words of its template filled in
	archive   string // zip or tar; "" for none
	next, gc  bool
	dryRun    bool
	store     files.ReceiveOptions

	given map[string]bool // the flags on the command line, by their first names
}

func optionsOf(c *cli.Context) (options, error) {
	args, err := cmdline.Args(c, 0, -1)
	if err != nil {
		return options{}, err
	}
	peer, rest, err := node.PeerOf(args, "") // mesh-recv does not read MESH_PEER: that is for mesh-cat
	if err != nil {
		return options{}, err
	}
	names, err := files.CheckTakeNames(rest)
	if err != nil {
		return options{}, err
	}
	o := options{
		node: nodeflags.Read(c), offer: nodeflags.Offer(c), runs: runs.Read(c),
		output: c.String("output"), directory: c.String("directory"), name: c.String("name"), archive: c.String("archive"),
		names: names, next: c.Bool("next"), gc: c.Bool("gc"), dryRun: c.Bool("dry-run"), store: cmdline.StoreOptions(c),
		given: cmdline.GivenFlags(c),
	}
	if len(args) > 0 {
		o.peer = &peer
	} else {
		o.node.Listen = c.String("listen")
	}
	if o.name, err = pipeName(o.name, o.runs.Job); err != nil {
		return o, err
	}
	return o, o.check()
}

// pipeName fills in the words of --name. All tries of a run have the same name.
func pipeName(name, jobName string) (string, error) {
	template, more := job.Template(name), map[string]string{}
	if jobName != "" {
		more["job"] = jobName
	}
	if err := template.Check(slices.Collect(maps.Keys(more))...); err != nil {
		return "", proto.Errorf(proto.Usage, "--name: %w", err)
	}
	return template.Expand(time.Now(), more), nil
}

// check refuses flags and arguments that do not go together.
func (o options) check() error {
	switch {
	case o.archive != "" && o.archive != files.Zip && o.archive != files.Tar:
		return proto.Errorf(proto.Usage, "--archive is %s or %s", files.Zip, files.Tar)
	case o.archive != "" && o.directory != "":
		return proto.Errorf(proto.Usage, "--archive goes to standard output or to -o, not with -C")
	case o.output != "" && o.directory != "":
		return proto.Errorf(proto.Usage, "either -o or -C")
	case o.store.Force && o.output == "" && o.directory == "":
		return proto.Errorf(proto.Usage, "--force goes with -o or -C")
	case o.store.Force && o.store.Rename:
		return proto.Errorf(proto.Usage, "either --force or --rename")
	case o.store.Portable && o.store.AnyNames:
		return proto.Errorf(proto.Usage, "either --portable or --any-names")
	case o.gc && o.peer != nil:
		return proto.Errorf(proto.Usage, "--gc calls no PEER")
	case o.gc && o.next:
		return proto.Errorf(proto.Usage, "either --gc or --next")
	case o.next && o.peer != nil:
		return proto.Errorf(proto.Usage, "--next calls no PEER")
	case o.dryRun && o.peer == nil:
		return proto.Hint(proto.Errorf(proto.Usage, "--dry-run lists what a PEER offers"), "mesh-recv --dry-run PEER")
	case o.names != nil && o.name != "":
		return proto.Errorf(proto.Usage, "--name is for a pipe, and NAMEs are of files")
	}
	if err := o.checkCompanions(); err != nil {
		return err
	}
	if err := o.checkRun(); err != nil {
		return err
	}
	if o.name != "" {
		if err := files.CheckTarget(o.name); err != nil {
			return proto.Errorf(proto.Usage, "--name: %w", err)
		}
	}
	return nil
}

// checkRun refuses flags of a run where there is none, or none that can be repeated.
func (o options) checkRun() error {
	switch {
	case o.gc:
		return o.runs.CheckUnused("gc")
	case o.dryRun:
		return o.runs.CheckUnused("dry-run")
	case o.peer == nil:
		return o.runs.CheckOnce("a transfer is repeated only if mesh-recv calls PEER", "mesh-recv --retry-for DUR -C DIR PEER")
	case o.directory == "" && (o.output == "" || o.output == "-"):
		return o.runs.CheckOnce("standard output cannot take back what it has got", "mesh-recv --retry-for DUR -o FILE PEER")
	}
	return nil
}

// checkCompanions refuses flags without the flag that they go with.
func (o options) checkCompanions() error {
	for _, flag := range []string{"as", "room", "listen", "addr", "token-file", "show-token", "qr", "copy", "token-only", "ttl"} {
		if o.next && o.given[flag] {
			return proto.Errorf(proto.Usage, "--next waits at no address: it goes without --%s", flag)
		}
	}
	for _, flag := range []string{"name", "rename", "gc"} {
		if o.given[flag] && o.directory == "" {
			return proto.Errorf(proto.Usage, "--%s goes with -C", flag)
		}
	}
	for _, flag := range []string{"portable", "any-names", cmdline.MaxSizeName, cmdline.MaxFilesName} {
		if o.given[flag] && o.directory == "" && o.archive == "" {
			return proto.Errorf(proto.Usage, "--%s goes with -C or --archive", flag)
		}
	}
	return nil
}

// tuneProcess sets the Go runtime up for what is received.
func (o options) tuneProcess() {
	switch {
	case o.gc:
	case o.archive != "": // the directory of a zip needs memory
	case o.directory == "":
		cmdline.Bulk()
	default:
		cmdline.LittleMemory()
	}
}
