package cat

import (
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/job"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/outgoing"
	"mesh/tools/runs"
)

// options are the flags and arguments of mesh-cat.
type options struct {
	node     nodeflags.Options
	peer     node.PeerText   // the only one
	branches []branchOptions // of several; else nil
	need     int             // of the branches
	lag      time.Duration
	files    outgoing.Options // none for a pipe
	command  []string         // whose output is sent; nil for standard input
	wait     time.Duration
	runs     runs.Options
	name     job.Template // of a pipe, for an inbox
}

func optionsOf(c *cli.Context) (options, error) {
	args, cmd, err := cmdline.SplitCommand(c, 0, -1)
	if err != nil {
		return options{}, err
	}
	peers, names, err := node.PeersOf(args, os.Getenv(node.EnvPeer))
	if err != nil {
		return options{}, err
	}
	branches, need, err := branchesOf(c, peers)
	if err != nil {
		return options{}, err
	}
	o := options{
		node: nodeflags.Read(c), files: outgoing.Read(c, names), command: cmd, wait: c.Duration("wait"),
		runs: runs.Read(c), name: job.Template(c.String("name")),
	}
	if branches != nil {
		o.branches, o.need, o.lag, o.node.Via = branches, need, c.Duration("lag"), viaOfAll(branches, o.node.Via)
	} else {
		o.peer = peers[0]
	}
	return o, o.check()
}

// check refuses flags and arguments that do not go together.
func (o options) check() error {
	if o.files.Names != nil && o.command != nil {
		return proto.Errorf(proto.Usage, "either files or a command can be sent")
	}
	if o.files.Names == nil && o.command == nil {
		if err := o.runs.CheckOnce("standard input cannot be read twice", "mesh-cat --retry-for DUR PEER -- CMD… runs CMD again for each try"); err != nil {
			return err
		}
	}
	if err := o.checkName(); err != nil {
		return err
	}
	if err := o.files.Check("mesh-cat", "PEER "); err != nil || !o.files.DryRun {
		return err
	}
	return o.runs.CheckUnused("dry-run")
}

// checkName refuses a name that no inbox would take.
func (o options) checkName() error {
	if o.name == "" {
		return nil
	}
	if o.files.Names != nil {
		return proto.Errorf(proto.Usage, "--name is for a pipe: files have names of their own")
	}
	err := o.name.Check()
	if o.runs.Job != "" {
		err = o.name.Check("job")
	}
	if err == nil {
		err = files.CheckPipeName(o.pipeName(time.Now()), files.ReceiveOptions{AnyNames: true})
	}
	if err != nil {
		return proto.Errorf(proto.Usage, "--name: %w", err)
	}
	return nil
}

// pipeName returns the name of a pipe that is sent now; "" for none.
func (o options) pipeName(now time.Time) string {
	return o.name.Expand(now, map[string]string{"job": o.runs.Job})
}

// tuneProcess sets the Go runtime up for what is sent.
func (o options) tuneProcess() {
	if o.files.Names == nil {
		cmdline.Bulk()
		return
	}
	o.files.Tune()
	if !o.files.DryRun && !o.files.Archive {
		cmdline.OneProcessor()
	}
}
