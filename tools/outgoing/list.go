package outgoing

import (
	"fmt"
	"math"

	"mesh/pipe/files"
	"mesh/pipe/progress"
	"mesh/pipe/term"
	"mesh/tools/cmdline"
)

// List prints the names that would be sent, with their sizes if standard output is a
// terminal. On standard error it prints what is excluded and why, and if sums is set, how
// much would be sent.
func (o Options) List(pipe string, s cmdline.Streams, sums bool) error {
	met := Met{pipe: pipe}
	send := o.send(nil, nil, nil, met.watch(s.Complaints()))
	excluded, entries, bytes, sized := 0, 0, int64(0), term.IsTerminal(s.Out)
	send.Excluded = func(path, why string) {
		excluded++
		fmt.Fprintf(s.Err, "%s: excluded: %s (%s)\n", s.Name, path, why)
	}
	err := files.List(o.Names, send, func(path string, size int64) error {
		entries++
		bytes += min(size, math.MaxInt64-bytes)
		if sized {
			path = fmt.Sprintf("%10s  %s", progress.Bytes(size), path)
		}
		return s.PrintLine(path)
	})
	if sums {
		words := fmt.Sprintf("%d entries, %s", entries, progress.Bytes(bytes))
		if excluded > 0 {
			words += fmt.Sprintf(", %d excluded", excluded)
		}
		fmt.Fprintf(s.Err, "%s: %s\n", s.Name, words)
	}
	return met.Hint(err)
}
