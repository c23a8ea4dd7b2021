// Package runs is one run of a tool that makes a transfer, as cron or a timer begins it:
// never two of a job at a time, repeated while a repeat can help, and remembered.
package runs

import (
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/job"
	"mesh/tools/notify"
)

// Flags returns the flags of every tool that makes one transfer and ends.
func Flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: cmdline.JobName, Usage: "be the job `NAME`: never twice at a time, and remembered",
			Action: func(_ *cli.Context, name string) error { return job.CheckName(name) },
		},
		cmdline.RetryFor(),
		&cli.StringFlag{
			Name: notifyOnName, DefaultText: "that of [notify], or on a terminal never",
			Usage: "tell how the run ends, as [notify] in the settings says: `failure|always|never`",
			Action: func(_ *cli.Context, word string) error {
				if slices.Contains(notify.Words, word) {
					return nil
				}
				return proto.Errorf(proto.Usage, "flag --%s: %q is none of %s", notifyOnName, word, strings.Join(notify.Words, ", "))
			},
		},
		metricsFlag(),
	}
}

const notifyOnName = "notify-on"

// Options are the values of [Flags], and what a run needs of other flags.
type Options struct {
	Job      string // "" for none
	RetryFor time.Duration
	Metrics  string // the folder for metrics; "" for none
	// Wait is how long a run waits for the end of another one of the job.
	Wait time.Duration
	// NotifyOn is one of [notify.Words]; "" for what Notify says, and on a terminal for
	// [notify.OnNever].
	NotifyOn string
	// Notify returns whom to tell of the end; nil tells nobody.
	Notify func() (notify.Settings, error)

	// Close closes what the tries share. It gets the error of the last one, and returns how
	// the run has ended, which the state and the notification then say. nil closes nothing.
	Close func(error) error

	// State is the state folder; "" for that of the environment.
	State   string
	Verbose int // how often -v is given
}

// Read reads the flags.
func Read(c *cli.Context) Options {
	return Options{
		Job: c.String(cmdline.JobName), RetryFor: c.Duration("retry-for"),
		NotifyOn: c.String(notifyOnName), Notify: cmdline.ReadNotify, Wait: c.Duration("wait"), Verbose: c.Count("verbose"),
		Metrics: c.String(cmdline.MetricsName),
	}
}

// Used reports whether a run is a job, or is repeated.
func (o Options) Used() bool { return o.Job != "" || o.RetryFor > 0 }

// CheckOnce refuses --retry-for for a transfer that can be made only once, because of
// why. The hint is a command line that can be repeated.
func (o Options) CheckOnce(why, hint string) error {
	if o.RetryFor == 0 {
		return nil
	}
	return proto.Hint(proto.Errorf(proto.Usage, "--retry-for: %s", why), hint)
}

// CheckUnused refuses all flags beside another flag, which makes no transfer.
func (o Options) CheckUnused(flag string) error {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{cmdline.JobName, o.Job != ""}, {"retry-for", o.RetryFor > 0}, {notifyOnName, o.NotifyOn != ""}, {cmdline.MetricsName, o.Metrics != ""},
	} {
		if f.given {
			return proto.Errorf(proto.Usage, "--%s is for a transfer, and --%s makes none", f.name, flag)
		}
	}
	return nil
}
