//go:build !linux

package disk

import (
	"errors"
	"io/fs"
)

// anonymous is a file without a name, which this system cannot make.
type anonymous struct{ isOpen bool }

func canMakeAnonymous(*Folder, string) bool { return false }

func writeAnonymous(*Folder, fs.FileMode, int64, []byte) (anonymous, error) {
	return anonymous{}, errors.ErrUnsupported
}

func (anonymous) link(*Folder, string) error { return errors.ErrUnsupported }

func (anonymous) stat() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }

func (anonymous) sync() error { return errors.ErrUnsupported }

func (anonymous) close() {}
