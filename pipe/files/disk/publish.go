package disk

import (
	"errors"
	"io/fs"
	"os"

	"mesh/proto"
	"mesh/proto/rawfd"
)

// Publish gives the file a name in its folder, whole. If something has that name
// already, nothing changes and the error is [fs.ErrExist]. The name is durable
// after [Folder.Sync].
func (t *Temp) Publish(name string) error {
	if t.anon.isOpen {
		return t.anon.link(t.in, name)
	}
	return renameNew(t.in, t.name, name)
}

// Replace gives the file a name in its folder, whole, and replaces what has that
// name. A link is replaced too, not followed. The caller checks that it is no
// folder or device.
func (t *Temp) Replace(name string) error {
	if t.anon.isOpen { // a link cannot replace: take a temporary name first
		t.name = RandomTempName()
		if err := t.anon.link(t.in, t.name); err != nil {
			return err
		}
	}
	err := t.in.root.Rename(t.name, name)
	if err != nil && t.anon.isOpen {
		_ = t.in.root.Remove(t.name)
	}
	return err
}

// renameNew renames a file in a folder. If the new name exists, the error is
// [fs.ErrExist].
func renameNew(in *Folder, from, to string) error {
	err := rawfd.Control(in.dir, func(fd uintptr) error { return renameAt(int(fd), from, to) })
	if proto.IsLacking(err) {
		return linkAndRemove(in, from, to)
	}
	if errors.Is(err, fs.ErrExist) {
		return fs.ErrExist
	}
	return err
}

// linkAndRemove renames without replacing anything, where renameNew has no system
// call for it. A process that is killed in between leaves two names of a whole file.
// Where there are no hard links, it is [takeAndRename].
func linkAndRemove(in *Folder, from, to string) error {
	err := in.root.Link(from, to)
	if proto.IsLacking(err) {
		return takeAndRename(in, from, to, err)
	}
	if err != nil {
		return err
	}
	return in.root.Remove(from)
}

// takeAndRename renames without replacing anything, where the file system can neither
// link nor rename so; why says that. It takes the name with an empty file, and then
// replaces that file, unless it is no longer the same and empty. A process that is
// killed in between leaves the empty file. Another program that opens the name in that
// moment to write to it loses what it writes.
func takeAndRename(in *Folder, from, to string, why error) error {
	in.note(lackPublish, why)
	f, err := in.root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	taken, err := f.Stat()
	if err == nil && !in.isEmpty(to, taken) { // f is open, so that no other file gets its number
		err = fs.ErrExist
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = in.root.Rename(from, to); err != nil && in.isEmpty(to, taken) {
		_ = in.root.Remove(to)
	}
	return err
}

// isEmpty reports whether a name still belongs to an empty file.
func (f *Folder) isEmpty(name string, file fs.FileInfo) bool {
	now, err := f.root.Lstat(name)
	return err == nil && os.SameFile(file, now) && now.Size() == 0
}
