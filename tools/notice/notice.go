// Package notice is mesh notify, which sends a text, or a test, through the channels of
// [notify] in config.toml, and prints what came of each on standard output.
package notice

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/notify"
)

// Command returns the command.
func Command() *cli.Command {
	return &cli.Command{
		Name:        "notify",
		Usage:       "send TEXT, or a test, through the channels of [notify]",
		ArgsUsage:   "[TEXT]",
		UsageText:   "mesh notify                              # a test\nmake || mesh notify \"build failed\"\nmesh notify \"$(uptime)\"                  # what another command prints\n",
		Description: "Channels are set in config.toml: see mesh-config(5).",
		Action: func(c *cli.Context) error {
			args, err := cmdline.Args(c, 0, 1)
			if err != nil {
				return proto.Hint(err, "quote a text of several words")
			}
			settings, err := cmdline.ReadNotify()
			if err != nil {
				return err
			}
			home, err := cmdline.Home()
			if err != nil {
				return err
			}
			o := options{settings: settings, state: home}
			if len(args) > 0 {
				if o.text = args[0]; strings.TrimSpace(o.text) == "" {
					return proto.Errorf(proto.Usage, "TEXT is empty")
				}
			}
			return run(c.Context, o, cmdline.StreamsOf(c))
		},
	}
}

type options struct {
	settings notify.Settings
	state    string
	text     string // "" for a test
}

// run does the work of the command.
func run(ctx context.Context, o options, s cmdline.Streams) error {
	if len(o.settings.Channels) == 0 {
		err := proto.Errorf(proto.Config, "[notify] in config.toml has no channel")
		return proto.Hint(err, `for example gotify = { url = "https://push.example.org", token-file = "gotify.token" }: see mesh-config(5)`)
	}
	results := notify.Try(ctx, o.settings, o.state, o.text, nil)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, r := range results {
		if err := s.PrintLine(line(r)); err != nil {
			return err
		}
	}
	return verdict(results)
}

// line says what came of one channel.
func line(r notify.Result) string {
	switch {
	case r.Err == nil:
		return r.Channel + ": ok"
	case errors.Is(r.Err, notify.ErrNotTested):
		return fmt.Sprintf("%s: %v", r.Channel, r.Err)
	}
	text := fmt.Sprintf("%s: %v (%d)", r.Channel, r.Err, proto.CodeOf(r.Err))
	if r.Kept {
		text += ", and is tried again"
	}
	return proto.HideSecrets(proto.OneLine(text))
}

// verdict returns the first failure.
func verdict(results []notify.Result) error {
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, notify.ErrNotTested) {
			return fmt.Errorf("%s: %w", r.Channel, r.Err)
		}
	}
	return nil
}
