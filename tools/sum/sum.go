// Package sum is mesh-sum. It prints and checks BLAKE3 digests of files as b3sum
// does, so that the digest of a transfer can be compared with a file. With --tee it
// stands in a pipeline and copies standard input to standard output. The digest then
// goes to standard error or to a file.
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

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "sum",
		Usage:     "print or check BLAKE3 digests",
		ArgsUsage: "[FILE…]",
		UsageText: "mesh-sum *.iso > sums                         # as b3sum prints them\nmesh-sum -c sums                              # are the files as they were?\ntar cf - dir | mesh-sum --tee | mesh-cat bob  # the digest of what goes by\n",
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name: "check", Aliases: []string{"c"}, DisableDefaultText: true,
				Usage: "check the digests and names that are listed in each FILE",
			},
			&cli.BoolFlag{
				Name: "quiet", Aliases: []string{"q"}, DisableDefaultText: true,
				Usage: "with --check, print only failures",
			},
			&cli.BoolFlag{
				Name: "tee", DisableDefaultText: true,
				Usage: "copy stdin to stdout, and print the digest to stderr",
			},
			&cli.StringFlag{Name: "digest-file", Usage: "with --tee, write the digest to `FILE` instead, once all of stdin is copied"},
		},
		Action: func(c *cli.Context) error {
			o, err := readOptions(c)
			if err != nil {
				return err
			}
			return run(c.Context, o, cmdline.StreamsOf(c))
		},
	}
}

// options say what to digest.
type options struct {
	files      []string // "-" is standard input
	check      bool     // files are lists of digests
	quiet      bool     // of a check, print only failures
	tee        bool     // copy standard input to standard output; no files
	digestFile string   // with tee, "": standard error
}

func readOptions(c *cli.Context) (options, error) {
	files, err := cmdline.Operands(c)
	o := options{files: files, check: c.Bool("check"), quiet: c.Bool("quiet"), tee: c.Bool("tee"), digestFile: c.String("digest-file")}
	switch {
	case err != nil:
		return o, err
	case o.tee && (o.check || len(files) > 0):
		return o, proto.Errorf(proto.Usage, "--tee cannot be combined with --check or FILE")
	case c.IsSet("digest-file") && !o.tee:
		return o, proto.Hint(proto.Errorf(proto.Usage, "--digest-file needs --tee"), "the digests of files go to stdout")
	case o.quiet && !o.check:
		return o, proto.Errorf(proto.Usage, "--quiet needs --check")
	}
	if len(files) == 0 && !o.tee {
		o.files = []string{stdinName}
	}
	return o, nil
}

// run returns early if ctx ends, and then leaves a goroutine that reads: a read of
// standard input cannot be interrupted.
func run(ctx context.Context, o options, s cmdline.Streams) error {
	if o.tee {
		if err := s.RequireOut(); err != nil {
			return err
		}
		return tee(ctx, o.digestFile, s)
	}
	p := &printer{s: s}
	return interruptible(ctx, func() error {
		if o.check {
			return p.checkLists(o.files, o.quiet)
		}
		return p.printDigests(o.files)
	})
}

// interruptible runs f in a goroutine. If ctx ends first it returns the cause and
// does not wait for f.
func interruptible(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// printer prints or checks digests.
type printer struct {
	s        cmdline.Streams
	firstErr error // the first error that did not end the run
}

// fail records an error that does not end the run.
func (p *printer) fail(err error) {
	if p.firstErr == nil {
		p.firstErr = err
	}
}

// printDigests prints a line for each file that can be read.
func (p *printer) printDigests(files []string) error {
	for _, name := range files {
		d, err := p.digest(name)
		if err != nil {
			p.s.Complain(err)
			p.fail(err)
			continue
		}
		if err := p.print(line(d, name)); err != nil {
			return err
		}
	}
	return cmdline.Silent(p.firstErr)
}

// open opens the file called name; "-" is standard input, which Close leaves open.
func (p *printer) open(name string) (io.ReadCloser, error) {
	if name == stdinName {
		return io.NopCloser(p.s.In), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, proto.IOError(err)
	}
	return f, nil
}

// digest returns the digest of the file called name.
func (p *printer) digest(name string) (digest.Digest, error) {
	in, err := p.open(name)
	if err != nil {
		return digest.Digest{}, err
	}
	defer in.Close() // only read
	_, d, err := digest.Copy(nil, in)
	if err != nil {
		return d, proto.IOError(err)
	}
	return d, nil
}

func (p *printer) print(text string) error {
	if _, err := io.WriteString(p.s.Out, text); err != nil {
		return cmdline.WriteError(err)
	}
	return nil
}

// tee copies standard input to standard output. It writes the digest to the named
// file, or without one to standard error, if both ended without an error.
func tee(ctx context.Context, file string, s cmdline.Streams) error {
	var d digest.Digest
	err := interruptible(ctx, func() (err error) {
		_, d, err = digest.Copy(s.Out, s.In)
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
	if _, err := io.WriteString(s.Err, text); err != nil {
		return proto.IOError(err)
	}
	return nil
}
