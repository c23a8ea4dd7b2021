package cmdline

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// Duration is a flag's time, as [time.ParseDuration] reads it, and with whole days
// of 24 hours in front: 30s, 1h30m, 1d, 1d12h. [cli.Context.Duration] returns it.
type Duration time.Duration

const (
	day     = 24 * time.Hour
	maxDays = uint64(math.MaxInt64 / day)
)

// Set implements [cli.Generic].
func (d *Duration) Set(text string) error {
	wrong := proto.Errorf(proto.Usage, "want a time such as 30s, 1h30m or 1d")
	days, rest := uint64(0), text
	if before, after, found := strings.Cut(text, "d"); found {
		var err error
		if days, err = strconv.ParseUint(before, 10, 63); err != nil || days > maxDays || strings.HasPrefix(after, "-") || strings.HasPrefix(after, "+") {
			return wrong
		}
		if rest = after; rest == "" {
			rest = "0"
		}
	}
	t, err := time.ParseDuration(rest)
	if err != nil || days > 0 && t > math.MaxInt64-time.Duration(days)*day {
		return wrong
	}
	*d = Duration(time.Duration(days)*day + t)
	return nil
}

// String returns what [time.Duration.String] does, which has no days.
func (d *Duration) String() string { return time.Duration(*d).String() }

// durationFlag is a flag for a time that check accepts.
func durationFlag(name, usage string, value time.Duration, check func(time.Duration) error) *cli.GenericFlag {
	v := Duration(value)
	return &cli.GenericFlag{
		Name: name, Value: &v, Usage: usage,
		Action: func(_ *cli.Context, got any) error { return check(time.Duration(*got.(*Duration))) },
	}
}
