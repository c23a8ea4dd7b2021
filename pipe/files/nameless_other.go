//go:build !linux

package files

import (
	"errors"
	"io/fs"
)

// nameless is a file that has no name yet, of which there are none here.
type nameless struct{ is bool }

func canNameless(*directory, string) bool { return false }

func mayNameless() bool { return false }

func writeNameless(*directory, fs.FileMode, int64, []byte) (nameless, error) {
	return nameless{}, errors.ErrUnsupported
}

func (nameless) link(*directory, string) error { return errors.ErrUnsupported }

func (nameless) sync() error { return errors.ErrUnsupported }

func (nameless) close() {}
