// Package sum is mesh-sum: BLAKE3 digests of files as b3sum prints and checks
// them, so that what a transfer reports can be compared with what is on a disk.
// With --tee it stands in a pipeline: standard input goes to standard output
// and is digested on the way; the digest goes to standard error or to a file.
package sum

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/outfile"
)

// stdinName is standard input on the command line and in a list.
const stdinName = "-"

// Command is mesh-sum.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "sum",
		Usage:     "print or check BLAKE3 digests",
		ArgsUsage: "[FILE…]",
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name: "check", Aliases: []string{"c"}, DisableDefaultText: true,
				Usage: "each FILE is a list of digests and names: check them",
			},
			&cli.BoolFlag{
				Name: "quiet", Aliases: []string{"q"}, DisableDefaultText: true,
				Usage: "with --check, print only what failed",
			},
			&cli.BoolFlag{
				Name: "tee", DisableDefaultText: true,
				Usage: "copy stdin to stdout, and put the digest on stderr",
			},
			&cli.StringFlag{Name: "digest-file", Usage: "with --tee, put the digest into `FILE`, once stdin has ended well"},
		},
		Action: run,
	}
}

func run(c *cli.Context) error {
	files, err := cmdline.Operands(c)
	if err != nil {
		return err
	}
	check, isTee := c.Bool("check"), c.Bool("tee")
	switch {
	case isTee && (check || len(files) > 0):
		return proto.Errorf(proto.Usage, "--tee takes neither --check nor a FILE")
	case c.IsSet("digest-file") && !isTee:
		return proto.Hint(proto.Errorf(proto.Usage, "--digest-file without --tee"), "digests of files go to stdout")
	case c.Bool("quiet") && !check:
		return proto.Errorf(proto.Usage, "--quiet without --check")
	}
	if len(files) == 0 {
		files = []string{stdinName}
	}
	s := &summer{in: c.App.Reader, out: c.App.Writer, complain: func(err error) { cmdline.Complain(c, err) }}
	switch {
	case isTee:
		return tee(c.Context, s, c.App.ErrWriter, c.String("digest-file"))
	case check:
		return meanwhile(c.Context, func() error { return s.check(files, c.Bool("quiet")) })
	}
	return meanwhile(c.Context, func() error { return s.sum(files) })
}

// meanwhile runs f and returns early when ctx is done: a read of standard input
// cannot be interrupted, so f is then left to the end of the process.
func meanwhile(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// summer is the streams of a run, and the first of the errors that it went on
// after.
type summer struct {
	in       io.Reader
	out      io.Writer
	complain func(error)
	first    error
}

// fail notes an error that does not end the run.
func (s *summer) fail(err error) {
	if s.first == nil {
		s.first = err
	}
}

// sum prints a line for each file that can be read.
func (s *summer) sum(files []string) error {
	for _, name := range files {
		d, err := s.digest(name)
		if err != nil {
			s.complain(err)
			s.fail(err)
			continue
		}
		if err := s.print(line(d, name)); err != nil {
			return err
		}
	}
	return cmdline.Silent(s.first)
}

// digest reads the file called name.
func (s *summer) digest(name string) (digest.Digest, error) {
	in := s.in
	if name != stdinName {
		f, err := os.Open(name)
		if err != nil {
			return digest.Digest{}, proto.IOError(err)
		}
		defer f.Close() // only read
		in = f
	}
	_, d, err := digest.Copy(nil, in)
	if err != nil {
		return d, proto.IOError(err)
	}
	return d, nil
}

func (s *summer) print(text string) error {
	if _, err := io.WriteString(s.out, text); err != nil {
		return cmdline.WriteError(err)
	}
	return nil
}

// tee copies standard input to standard output. Only after a good end of both
// does the digest appear, in the named file or, without one, on errOut.
func tee(ctx context.Context, s *summer, errOut io.Writer, file string) error {
	var d digest.Digest
	err := meanwhile(ctx, func() (err error) {
		_, d, err = digest.Copy(s.out, s.in)
		return err
	})
	if w, ok := errors.AsType[*digest.WriteError](err); ok {
		return cmdline.WriteError(w)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return proto.IOError(err)
	}
	text := line(d, stdinName)
	if file != "" {
		return outfile.Write(file, []byte(text), 0o666)
	}
	if _, err := io.WriteString(errOut, text); err != nil {
		return proto.IOError(err)
	}
	return nil
}
