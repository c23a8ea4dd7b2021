package cmdline

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// Duration is the value of a flag for a time: what [time.ParseDuration] reads, with
// whole days of 24 hours in front, for example 30s, 1h30m, 1d or 1d12h.
// [cli.Context.Duration] returns it.
type Duration time.Duration

const (
	day     = 24 * time.Hour
	maxDays = uint64(math.MaxInt64 / day)
)

// Set implements [cli.Generic].
func (d *Duration) Set(text string) error {
	wrong := proto.Errorf(proto.Usage, "want a time like 30s, 1h30m or 1d")
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

// String returns the text of [time.Duration.String], which has no days.
func (d *Duration) String() string { return time.Duration(*d).String() }

// ShortDuration returns a time as a person writes it: 6h, 2m30s, 1.2s.
func ShortDuration(d time.Duration) string {
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
	case d >= 10*time.Second:
		d = d.Round(time.Second)
	default:
		d = d.Round(100 * time.Millisecond)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// durationFlag returns a flag for a time that check accepts.
func durationFlag(name, usage string, value time.Duration, check func(time.Duration) error) *cli.GenericFlag {
	v := Duration(value)
	return &cli.GenericFlag{
		Name: name, Value: &v, Usage: usage,
		Action: func(_ *cli.Context, got any) error { return check(time.Duration(*got.(*Duration))) },
	}
}
