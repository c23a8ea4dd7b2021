// Package status is the command mesh status: what runs here for this user, how it does,
// and how the jobs ended. It asks the running tools at their sockets, reads the state
// folder, and opens no connection to anybody else.
package status

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/board"
	"mesh/tools/cmdline"
	"mesh/tools/job"
	"mesh/tools/notify"
	"mesh/tools/silence"
)

// Command returns the command.
func Command() *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "show what runs here: inbox, terminals, hubs, transfers, jobs",
		UsageText:   "mesh status              # one screen\nmesh status --json       # the same as one object\nmesh status --check      # for Nagios: 0, 10 or 11\n",
		Description: "It asks the mesh-listen, mesh-tty --share and mesh-hub serve of this user, and\nreads its jobs. With --check it prints nothing: status 10 if no tool runs, or\none does not answer; 11 if a delivery is overdue or a job has failed 3 times in\na row; else 0.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object", DisableDefaultText: true},
			&cli.BoolFlag{Name: "check", Usage: "print nothing, and end with 0, 10 or 11", DisableDefaultText: true},
		},
		Action: cmdline.HomeAction(read, run),
	}
}

type options struct{ json, check bool }

func read(c *cli.Context) (options, error) {
	o := options{json: c.Bool("json"), check: c.Bool("check")}
	if _, err := cmdline.Args(c, 0, 0); err != nil {
		return o, err
	}
	if o.json && o.check {
		return o, proto.Errorf(proto.Usage, "either --json or --check")
	}
	return o, nil
}

// report is all that is known, and what --json prints.
type report struct {
	Version string       `json:"version"` // of this binary
	Time    time.Time    `json:"time"`
	Tools   []board.Card `json:"tools"`
	Jobs    []jobState   `json:"jobs"`
	// Notify has the channels of notifications.
	Notify []notify.ChannelState `json:"notify,omitempty"`
}

// jobState is the state of a job, with what its file does not have.
type jobState struct {
	job.State

	Running bool `json:"running"`
	Killed  bool `json:"killed"`
	Overdue bool `json:"overdue"` // no success came in the time in which one is expected
}

func run(ctx context.Context, home string, o options, s cmdline.Streams) error {
	r, err := gather(ctx, home)
	switch {
	case err != nil:
		return err
	case o.check:
		return cmdline.Silent(r.check())
	case o.json:
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return s.PrintLine(string(text))
	}
	return s.PrintLine(r.screen(r.Time))
}

// gather asks the running tools and reads the jobs of a state folder.
func gather(ctx context.Context, home string) (report, error) {
	r := report{Version: cmdline.VersionText(), Tools: []board.Card{}, Jobs: []jobState{}}
	cards, err := board.Ask(ctx, home)
	if err != nil {
		return r, err
	}
	r.Tools = append(r.Tools, cards...)
	states, err := job.List(home)
	if err != nil {
		return r, err
	}
	expected, err := silence.Read(home)
	if err != nil {
		return r, err
	}
	for _, st := range states {
		late := slices.ContainsFunc(expected, func(e silence.Expected) bool { return e.Kind == silence.Job && e.Name == st.Name && e.Overdue })
		r.Jobs = append(r.Jobs, jobState{State: st, Running: st.Running, Killed: st.Killed(), Overdue: late})
	}
	r.Notify = notify.States(home)
	r.Time = time.Now().UTC()
	return r, nil
}

// failing is from how many failures in a row --check takes a job for broken.
const failing = 3

// check returns what is wrong, in the words of --check.
func (r report) check() error {
	for _, c := range r.Tools {
		for _, p := range c.Peers {
			if p.Overdue {
				return proto.Errorf(proto.Timeout, "%s is overdue", p.Name)
			}
		}
	}
	for _, j := range r.Jobs {
		if j.Overdue {
			return proto.Errorf(proto.Timeout, "job %s is overdue", j.Name)
		}
		if j.inARow() >= failing {
			return proto.Errorf(proto.Timeout, "job %s has failed %d times in a row", j.Name, j.inARow())
		}
	}
	for _, c := range r.Tools {
		if c.Silent != "" {
			return proto.Errorf(proto.Unreachable, "a tool does not answer")
		}
	}
	if len(r.Tools) == 0 {
		return proto.Errorf(proto.Unreachable, "nothing runs")
	}
	return nil
}

// inARow returns how many runs in a row have failed; a run that was killed is one.
func (j jobState) inARow() int {
	if j.Killed {
		return j.Failures + 1
	}
	return j.Failures
}
