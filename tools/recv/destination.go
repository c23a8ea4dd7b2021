package recv

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
)

// destination is where the transfer goes.
type destination struct {
	kinds []string       // of transfers that are taken
	sink  *pipe.Sink     // of a pipe, and of an archive; nil with -C
	file  *files.Pending // behind sink; nil for standard output
	warn  func(error)    // prints what the file system lacks
	ask   bool           // files are stored in the current folder, if the user wants that
}

// openDestination creates the file, or checks the folder, before there is a peer.
func openDestination(o options, s cmdline.Streams) (*destination, error) {
	d := &destination{kinds: []string{wire.KindPipe}, sink: s.Sink(), warn: s.Warnings()}
	output := o.output
	if output == "-" {
		output = ""
	}
	switch {
	case o.names != nil:
		d.kinds = []string{wire.KindTake}
		if o.directory == "" && output == "" && o.archive == "" {
			if d.ask = asks(s); !d.ask {
				return nil, proto.Hint(proto.Errorf(proto.Usage, "files do not go to standard output"), "mesh-recv -C DIR PEER NAME… stores them, --archive tar writes them as one")
			}
		}
		if o.directory != "" {
			d.sink = nil
			return d, cmdline.CheckFolder(o.directory)
		}
	case o.archive != "":
		d.kinds = []string{wire.KindFiles}
	case o.name != "":
		output = filepath.Join(o.directory, o.name)
		d.kinds = append(d.kinds, wire.KindFiles)
	case o.directory != "":
		d.kinds, d.sink = []string{wire.KindFiles}, nil
		return d, cmdline.CheckFolder(o.directory)
	case output != "":
		d.kinds = append(d.kinds, wire.KindFiles)
	case asks(s):
		d.kinds, d.ask = append(d.kinds, wire.KindTake, wire.KindFiles), true
	}
	if output == "" {
		return d, s.RequireOut()
	}
	file, err := files.Create(output, o.store.Force, d.warn)
	if errors.Is(err, fs.ErrExist) {
		return nil, proto.Hint(err, "--force replaces it")
	}
	if err != nil {
		return nil, err
	}
	if err := file.Probe(); err != nil {
		file.Abort()
		return nil, err
	}
	d.file = file
	d.sink = &pipe.Sink{Writer: file, Finish: func(status int) error {
		if status != 0 {
			return nil // not published; the exchange ends with 33
		}
		return file.Commit()
	}}
	return d, nil
}

// watchReader calls fail once the reader of standard output is lost, if that is the
// destination, until stop is called.
func (d *destination) watchReader(ctx context.Context, fail context.CancelCauseFunc) (stop func()) {
	if d.sink == nil {
		return func() {}
	}
	return d.sink.WatchLoss(ctx, fail)
}

// settle returns how a transfer to d has ended that returned err. Of a failure and of the
// publication of a file, the first counts: then the other does not happen, or is too late.
func (d *destination) settle(err error) error {
	if err != nil && d.file != nil && d.file.Abort() {
		return nil
	}
	return err
}

// discard removes the file, unless it is published. It may be called more than once.
func (d *destination) discard() {
	if d.file != nil {
		d.file.Abort()
		d.file = nil
	}
}

// commit publishes the file of an archive, or makes standard output durable. It is nil
// if there is nothing to do.
func (d *destination) commit() func() error {
	if d.sink.Finish == nil {
		return nil
	}
	return func() error { return d.sink.Finish(0) }
}
