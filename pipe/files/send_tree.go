package files

import (
	"io/fs"
	"os"

	"mesh/pipe/files/disk"
)

// tree is a folder that a walk reads. A walk keeps its folders open. When the process may
// open no more files, it closes those that are not in use, and opens each again when it
// comes back to it.
type tree struct {
	all  openTrees
	in   *tree       // the folder that it is in; nil for one that the user named
	path string      // name in the folder that it is in, or the path that the user gave
	info fs.FileInfo // of the folder that was opened first
	disk *disk.Folder
	uses int
}

// openTrees are the open folders of a walk, not many more than maxOpenTrees.
type openTrees map[*tree]struct{}

// maxOpenTrees bounds the folders that a walk keeps open. Each takes two descriptors.
const maxOpenTrees = 64

// open opens a folder at a path, or in another folder, where info was found. It has one
// use, which ends with release.
func (all openTrees) open(in *tree, path string, info fs.FileInfo) (*tree, error) {
	t := &tree{all: all, in: in.use(), path: path, info: info, uses: 1}
	if _, err := t.folder(); err != nil {
		in.release()
		return nil, err
	}
	return t, nil
}

// folder returns the open folder. It is valid until the next call for another tree. If
// something else has taken the place of the folder, the error is [disk.ErrReplaced].
func (t *tree) folder() (*disk.Folder, error) {
	if t.disk != nil {
		return t.disk, nil
	}
	if len(t.all) >= min(maxOpenTrees, disk.MaxOpen()/16) {
		t.all.closeBut(t)
	}
	var opened *disk.Folder
	err := t.retry(func() (err error) {
		if t.in == nil {
			opened, err = disk.Open(t.path)
			return err
		}
		in, err := t.in.folder()
		if err == nil {
			opened, err = in.OpenFolder(t.path, t.info)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !os.SameFile(opened.Info(), t.info) {
		opened.Close()
		return nil, disk.ErrReplaced
	}
	t.disk = opened
	t.all[t] = struct{}{}
	return opened, nil
}

// retry repeats a call if it fails because too many files are open, and other folders of
// the walk could be closed.
func (t *tree) retry(call func() error) error {
	err := call()
	if disk.IsShort(err) && t.all.closeBut(t) {
		err = call()
	}
	return err
}

// closeBut closes all folders but t and the one that it is in, and reports whether there
// were any.
func (all openTrees) closeBut(t *tree) (closed bool) {
	for other := range all {
		if other != t && other != t.in {
			other.close()
			closed = true
		}
	}
	return closed
}

func (t *tree) close() {
	if t.disk != nil {
		t.disk.Close()
		t.disk = nil
		delete(t.all, t)
	}
}

// openUnchanged is [disk.Folder.OpenUnchanged] in the folder.
func (t *tree) openUnchanged(name string, info fs.FileInfo) (f *disk.File, err error) {
	folder, err := t.folder()
	if err != nil {
		return nil, err
	}
	err = t.retry(func() error { f, err = folder.OpenUnchanged(name, info); return err })
	return f, err
}

// readUnchanged is [disk.Folder.ReadUnchanged] in the folder.
func (t *tree) readUnchanged(name string, info fs.FileInfo, buf []byte) (data []byte, err error) {
	folder, err := t.folder()
	if err != nil {
		return nil, err
	}
	err = t.retry(func() error { data, err = folder.ReadUnchanged(name, info, buf); return err })
	return data, err
}

// use adds a use, which ends with release. A nil tree has no uses to count.
func (t *tree) use() *tree {
	if t != nil {
		t.uses++
	}
	return t
}

func (t *tree) release() {
	if t == nil {
		return
	}
	if t.uses--; t.uses == 0 {
		t.close()
		t.in.release()
	}
}

// level is a folder that the walk is in.
type level struct {
	tree  *tree
	path  string // on the wire
	names *nameList
	group      // of the last name
	fresh bool // the receiver has made the folder, so it is empty there
	links bool // the receiver takes links in it
}

// group is the names of a folder that have the same [fold], found one after the other.
type group struct {
	fold, first, last string
}

// addName returns the first name of the group that a name belongs to, "" if it begins
// a group.
func (g *group) addName(name string) (rival string) {
	folded := fold(name)
	if folded == g.fold {
		rival = g.first
	} else {
		g.fold, g.first = folded, name
	}
	g.last = name
	return rival
}
