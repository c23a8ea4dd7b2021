package files

import (
	"errors"
	"os"
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// folder makes a folder, or goes into one that is there.
func (r *receiver) folder(m *wire.Entry, in *folder, name string) error {
	f := &folder{parent: in, name: name, path: m.Path, mtime: time.Unix(0, m.Mtime), perm: modeOf(m), mu: in.mu}
	err := in.root.Mkdir(name, modeOf(m)|0o700)
	switch {
	case err == nil:
		f.made = true
	case proto.CodeOf(proto.IOError(err)) == proto.Space:
		return proto.IOError(errIn(m.Path, err))
	case !errors.Is(err, os.ErrExist):
		return r.refuseFolder(m, in, name, err)
	default:
		if info, err := in.root.Lstat(name); err == nil && !info.IsDir() {
			return r.refuseFolder(m, in, name, ErrIsThere)
		}
	}
	if err := f.open(); err != nil {
		return r.refuseFolder(m, in, name, err)
	}
	if f.top = in.top; f.top == nil {
		f.top = &arrival{Arrival: Arrival{Name: name, Folder: true}}
	}
	r.stack = append(r.stack, f)
	return r.answer(m, wire.Answer{Fresh: f.made})
}

// symlink makes a symbolic link.
func (r *receiver) symlink(m *wire.Entry, in *folder, name string) error {
	if err := checkTarget(m.Path, m.Target); err != nil {
		return r.refuse(m, err)
	}
	if target, err := in.root.Readlink(name); err == nil && target == m.Target {
		r.skip(in, Arrival{Name: name})
		return r.answer(m, wire.Answer{Skip: true})
	}
	err := in.root.Symlink(m.Target, name)
	switch {
	case errors.Is(err, os.ErrExist):
		return r.refuse(m, ErrIsThere)
	case err != nil && proto.CodeOf(proto.IOError(err)) == proto.Space:
		return proto.IOError(errIn(m.Path, err))
	case err != nil:
		return r.refuse(m, err)
	}
	r.store.found(in, Arrival{Name: name, Stored: 1})
	return r.answer(m, wire.Answer{})
}
