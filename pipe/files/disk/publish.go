package disk

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

// linkAndRemove renames without replacing anything, where renameNew has no system
// call for it. It needs hard links. A process that is killed in between leaves
// two names of a whole file.
func linkAndRemove(in *Folder, from, to string) error {
	if err := in.root.Link(from, to); err != nil {
		return err
	}
	return in.root.Remove(from)
}
