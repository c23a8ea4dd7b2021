package outgoing

import (
	"errors"
	"sync/atomic"

	"mesh/pipe/files"
	"mesh/proto"
)

// Met are the kinds of entries that were not sent or not stored, for a hint.
type Met struct {
	link, name, taken, changed atomic.Bool
	pipe                       string // the command line that sends standard input
}

// NewMet returns an empty Met. pipe is the command line that sends standard input.
func NewMet(pipe string) *Met { return &Met{pipe: pipe} }

// watch returns a function that notes the kind of an entry and then calls report.
func (m *Met) watch(report func(path string, err error)) func(path string, err error) {
	return func(path string, err error) {
		switch {
		case errors.Is(err, files.ErrSymlink):
			m.link.Store(true)
		case proto.CodeOf(err) == proto.Changed:
			m.changed.Store(true)
		case errors.Is(err, files.ErrName):
			m.name.Store(true)
		case errors.Is(err, files.ErrRefused) && proto.CodeOf(err) == proto.Unsafe:
			m.taken.Store(true)
		}
		report(path, err)
	}
}

// Hint adds the remedies for the entries that were not sent or not stored to the error
// of a transfer.
func (m *Met) Hint(err error) error {
	if m.link.Load() {
		err = proto.Hint(err, "--skip-special leaves out links that lead out of the folder, --symlinks skip all links; tar cf - FILE… | "+m.pipe+" sends them as they are")
	}
	if m.taken.Load() {
		err = proto.Hint(err, "on the other side --force replaces what is there with other content, and --rename stores beside it")
	}
	if m.name.Load() {
		err = proto.Hint(err, "on the other side --any-names accepts such names")
	}
	if m.changed.Load() {
		err = proto.Hint(err, "repeat the transfer when no program writes the file; "+m.pipe+" < FILE sends a growing log up to its present end")
	}
	return err
}
