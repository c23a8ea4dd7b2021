package files

import (
	"mesh/pipe/digest"
	"mesh/proto/wire"
)

// foundLink says which symbolic link has the name and the target of an announced one.
type foundLink int

const (
	noLink   foundLink = iota
	ofPeer             // the peer has stored it
	ofOthers           // the peer has not stored it, and does not hear that it was there
)

// compareSymlink looks for a symbolic link in an open folder. One with another target is
// refused, and so is one of which the peer may not hear.
func compareSymlink(a *account, m *wire.Entry, in *folder, name string) (foundLink, error) {
	target, err := in.disk.Readlink(name)
	if err != nil {
		return noLink, nil // makeSymlink fails if anything else has the name
	}
	info, err := in.disk.Lstat(name)
	if err != nil {
		return noLink, refuse(err)
	}
	sum, same := digest.Sum([]byte(target)), target == m.Target
	holds, found := a.wasStored(in.pathOf(name), info)
	switch {
	case found && holds(sum) && same:
		return ofPeer, nil
	case found && holds(sum):
		return noLink, refuse(ErrIsThere)
	case a.allowsGuess(in, name, info) && a.guess(in.pathOf(name), info, sum, same):
		return ofOthers, nil
	}
	return noLink, refuse(ErrIsThere)
}

// noteSymlink notes a symbolic link that is stored.
func noteSymlink(a *account, m *wire.Entry, in *folder, name string) {
	if a == nil {
		return
	}
	if info, err := in.disk.Lstat(name); err == nil {
		a.note(in.pathOf(name), info, digest.Sum([]byte(m.Target)))
	}
}
