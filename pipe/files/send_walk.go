package files

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// walk finds files and folders in the order in which they are sent: depth first,
// and in each folder by the [fold] of the names. It holds no more than the names of
// the folders that it is in.
type walk struct {
	args     []argument
	symlinks bool
	exclusion

	arg   int // index of the next argument
	stack []*level
	trees openTrees
	files *tree // of the last argument that was a file
}

// argument is a file or folder as the user gave it, and the name to send it under.
type argument struct {
	given, name, rival string
}

// CheckNames fails if two of the files and folders would be sent under one name, or if the
// process may open too few files to send them.
func CheckNames(names []string) error {
	if _, err := newWalk(names, SendOptions{}); err != nil {
		return err
	}
	return disk.CheckDescriptors(sendOpen)
}

// newWalk prepares a walk of files and folders. No two may be sent under one name.
func newWalk(names []string, o SendOptions) (*walk, error) {
	w := &walk{symlinks: !o.SkipSymlinks, exclusion: newExclusion(o), trees: openTrees{}}
	for _, given := range names {
		full, err := filepath.Abs(given)
		if err != nil {
			return nil, proto.IOError(err)
		}
		name := filepath.Base(full)
		if name == string(filepath.Separator) || name == "." {
			return nil, proto.Errorf(proto.Usage, "%s has no name to send it under", given)
		}
		w.args = append(w.args, argument{given: given, name: name})
	}
	slices.SortFunc(w.args, func(a, b argument) int { return comparePaths(a.name, b.name) })
	var g group
	for i := range w.args {
		if a := w.args[i]; i > 0 && a.name == g.last {
			return nil, proto.Errorf(proto.Usage, "%s and %s would be sent under one name", w.args[i-1].given, a.given)
		}
		w.args[i].rival = g.addName(w.args[i].name)
	}
	return w, nil
}

// next implements [finder].
func (w *walk) next() *item {
	for len(w.stack) > 0 {
		top := w.stack[len(w.stack)-1]
		if name, ok := top.names.popName(); ok {
			if it := w.findName(top, name); it != nil {
				return it
			}
			continue
		}
		w.leaveLevel()
	}
	if w.arg == len(w.args) {
		w.close()
		return nil
	}
	w.arg++
	return w.findArgument(w.args[w.arg-1])
}

// prune implements [finder].
func (w *walk) prune(l *level) {
	if i := slices.Index(w.stack, l); i >= 0 {
		for len(w.stack) > i {
			w.leaveLevel()
		}
	}
}

func (w *walk) leaveLevel() {
	w.stack[len(w.stack)-1].tree.release()
	w.stack = w.stack[:len(w.stack)-1]
}

// close implements [finder].
func (w *walk) close() {
	for len(w.stack) > 0 {
		w.leaveLevel()
	}
	w.files.release()
	w.files = nil
}

// findArgument returns the item of an argument. A link as an argument stands for
// what it leads to.
func (w *walk) findArgument(a argument) *item {
	it := &item{path: a.name, rival: a.rival}
	info, err := os.Stat(a.given)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() { // a pipe in /dev/fd has no path of its own
		return w.classify(it, info, nil, "")
	}
	full := ""
	if err == nil {
		full, err = filepath.EvalSymlinks(a.given)
	}
	if err == nil {
		info, err = os.Stat(full)
	}
	if err == nil {
		err = CheckPath(a.name, AnyNames)
	}
	if err != nil {
		return it.failed(err)
	}
	it.setInfo(info)
	if info.IsDir() {
		t, err := w.trees.open(nil, full, info)
		if err != nil {
			return it.failed(err)
		}
		return w.enter(it, t)
	}
	if err := w.openFiles(filepath.Dir(full)); err != nil {
		return it.failed(err)
	}
	return w.classify(it, info, w.files, filepath.Base(full))
}

// openFiles makes files the folder at a path.
func (w *walk) openFiles(dir string) error {
	if w.files != nil && w.files.path == dir {
		return nil
	}
	w.files.release()
	w.files = nil
	info, err := os.Stat(dir)
	if err == nil {
		w.files, err = w.trees.open(nil, dir, info)
	}
	return err
}

// findName returns the item of a name in a folder, nil for one that is excluded.
func (w *walk) findName(in *level, name string) *item {
	if name == in.last { // a rename meanwhile may list a name twice
		return nil
	}
	it := &item{path: in.path + "/" + name, in: in}
	folder, err := in.tree.folder()
	if err != nil {
		return it.failed(err)
	}
	info, err := folder.Lstat(name)
	if err == nil {
		_, inFolder, _ := strings.Cut(it.path, "/")
		if w.excludes(it.path, inFolder, info.IsDir()) {
			return nil
		}
		err = CheckPath(it.path, AnyNames)
	}
	it.rival = in.addName(name)
	if err != nil {
		return it.failed(err)
	}
	it.setInfo(info)
	if !info.IsDir() {
		return w.classify(it, info, in.tree, name)
	}
	t, err := w.trees.open(in.tree, name, info)
	if err != nil {
		return it.failed(err)
	}
	return w.enter(it, t)
}

// enter makes the item one of an open folder, and goes on in that folder. It takes over
// one use of the tree.
func (w *walk) enter(it *item, t *tree) *item {
	folder, err := t.folder()
	var names *nameList
	if err == nil {
		names, err = readNames(folder)
	}
	if err != nil {
		t.release()
		return it.failed(err)
	}
	it.kind = wire.EntryFolder
	it.inside = &level{tree: t, path: it.path, names: names, fresh: it.in != nil && it.in.fresh, links: it.in != nil && it.in.links}
	w.stack = append(w.stack, it.inside)
	return it
}

// classify completes the item of anything but a folder.
func (w *walk) classify(it *item, info fs.FileInfo, t *tree, name string) *item {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		it.kind = wire.EntryFile
	case mode&fs.ModeSymlink != 0 && w.symlinks:
		it.kind = wire.EntrySymlink
		if err := it.readTarget(t, name); err != nil {
			return it.failed(err)
		}
	default:
		return it.failed(errOfKind(mode))
	}
	it.tree = t
	it.open = func() (body, error) { return t.openUnchanged(name, info) }
	it.readSmall = func(buf []byte) ([]byte, error) { return t.readUnchanged(name, info, buf) }
	return it
}

// readTarget reads where a symbolic link leads to, and checks it.
func (it *item) readTarget(t *tree, name string) error {
	folder, err := t.folder()
	if err != nil {
		return err
	}
	target, err := folder.Readlink(name)
	if err != nil {
		return err
	}
	it.target = filepath.ToSlash(target)
	return checkLinkToSend(it.path, it.target)
}
