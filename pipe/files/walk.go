package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"mesh/proto"
	"mesh/proto/wire"
)

// walk goes through files and folders in a stable order, the one in which they
// are sent: depth first, and in each folder by what [fold] makes of the names.
// It holds no more than the names of the folders that it is in.
type walk struct {
	args     []argument
	symlinks bool

	arg   int
	stack []*level
	files *tree // of the file argument before
}

// argument is a file or folder as the person gave it.
type argument struct {
	given, name string
}

// tree is an open folder that items are opened from. It is closed when the last
// item is done with.
type tree struct {
	root *directory
	dir  string

	mu   sync.Mutex
	uses int
}

func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	d, err := newDirectory(root)
	if err != nil {
		return nil, err
	}
	return &tree{root: d, dir: dir, uses: 1}, nil
}

func (t *tree) use() *tree {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.uses++
	return t
}

func (t *tree) done() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.uses--; t.uses == 0 {
		t.root.close()
	}
}

// level is a folder that the walk is in.
type level struct {
	tree  *tree
	root  *directory
	path  string // on the wire
	rel   string // in the tree
	names *nameList
	last  string // fold of the name before
	fresh bool   // the receiver has made it, so nothing is in it there
}

// newWalk prepares a walk of what is named. No two may have one name.
func newWalk(names []string, symlinks bool) (*walk, error) {
	w := &walk{symlinks: symlinks}
	for _, given := range names {
		full, err := filepath.Abs(given)
		if err != nil {
			return nil, proto.IOError(err)
		}
		name := filepath.Base(full)
		if name == string(filepath.Separator) || name == "." {
			return nil, proto.Errorf(proto.Usage, "%s has no name to send it under", given)
		}
		w.args = append(w.args, argument{given, name})
	}
	slices.SortFunc(w.args, func(a, b argument) int { return strings.Compare(fold(a.name), fold(b.name)) })
	for i := 1; i < len(w.args); i++ {
		if a, b := w.args[i-1], w.args[i]; fold(a.name) == fold(b.name) {
			return nil, proto.Errorf(proto.Usage, "%s and %s would have one name", a.given, b.given)
		}
	}
	return w, nil
}

// next returns the next item, nil at the end.
func (w *walk) next() *item {
	for len(w.stack) > 0 {
		top := w.stack[len(w.stack)-1]
		if name, ok := top.names.pop(); ok {
			return w.find(top, name)
		}
		w.pop()
	}
	if w.arg == len(w.args) {
		w.close()
		return nil
	}
	w.arg++
	return w.begin(w.args[w.arg-1])
}

// prune leaves out what is still to come of a folder.
func (w *walk) prune(l *level) {
	if i := slices.Index(w.stack, l); i >= 0 {
		for len(w.stack) > i {
			w.pop()
		}
	}
}

func (w *walk) pop() {
	top := w.stack[len(w.stack)-1]
	w.stack = w.stack[:len(w.stack)-1]
	if top.root != top.tree.root {
		top.root.close()
	}
	top.tree.done()
}

// close gives back all that the walk holds.
func (w *walk) close() {
	for len(w.stack) > 0 {
		w.pop()
	}
	w.files.done()
	w.files = nil
}

// begin returns the item of an argument. A link given as an argument stands for
// what it leads to.
func (w *walk) begin(a argument) *item {
	it := &item{path: a.name}
	var info fs.FileInfo
	full, err := filepath.EvalSymlinks(a.given)
	if err == nil {
		info, err = os.Stat(full)
	}
	if err == nil {
		err = CheckPath(a.name, false)
	}
	if err != nil {
		return it.fail(err)
	}
	it.are(info)
	if info.IsDir() {
		t, err := openTree(full)
		if err != nil {
			return it.fail(err)
		}
		return w.enter(it, t, t.root)
	}
	if dir := filepath.Dir(full); w.files == nil || w.files.dir != dir {
		w.files.done()
		if w.files, err = openTree(dir); err != nil {
			return it.fail(err)
		}
	}
	return w.classify(it, info, w.files, filepath.Base(full))
}

// find returns the item of a name in a folder.
func (w *walk) find(in *level, name string) *item {
	it := &item{path: path.Join(in.path, name), in: in}
	before := in.last
	in.last = fold(name)
	if err := CheckPath(it.path, false); err != nil {
		return it.fail(err)
	}
	if in.last == before {
		return it.fail(errTwinHere)
	}
	info, err := in.root.Lstat(name)
	if err != nil {
		return it.fail(err)
	}
	it.are(info)
	if !info.IsDir() {
		return w.classify(it, info, in.tree, path.Join(in.rel, name))
	}
	root, err := openFolder(in.root, name, info)
	if err != nil {
		return it.fail(err)
	}
	return w.enter(it, in.tree.use(), root)
}

var errTwinHere = proto.Errorf(proto.Unsafe, "some systems take its name for that of another here")

// enter makes the item that of an open folder, which next goes on in. It takes
// the tree over.
func (w *walk) enter(it *item, t *tree, root *directory) *item {
	names, err := readNames(root.file)
	if err != nil {
		if root != t.root {
			root.close()
		}
		t.done()
		return it.fail(err)
	}
	rel := ""
	if it.in != nil {
		rel = path.Join(it.in.rel, path.Base(it.path))
	}
	it.kind = wire.EntryFolder
	it.inside = &level{tree: t, root: root, path: it.path, rel: rel, names: names, fresh: it.in != nil && it.in.fresh}
	w.stack = append(w.stack, it.inside)
	return it
}

// classify completes the item of what is no folder.
func (w *walk) classify(it *item, info fs.FileInfo, t *tree, rel string) *item {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		it.kind = wire.EntryFile
	case mode&fs.ModeSymlink != 0 && w.symlinks:
		it.kind = wire.EntrySymlink
		target, err := it.in.root.Readlink(path.Base(rel))
		if err != nil {
			return it.fail(err)
		}
		it.target = filepath.ToSlash(target)
		if err := checkTarget(it.path, it.target); err != nil {
			return it.fail(err)
		}
	default:
		return it.fail(fmt.Errorf("%w: it is a %s", errSpecial, kindOf(mode)))
	}
	it.tree = t
	it.open = func() (body, error) { return openFile(t.root.Root, rel, info) }
	if in := it.in; in != nil {
		it.whole = func(buf []byte) ([]byte, error) { return readWhole(in.root, path.Base(rel), info, buf) }
	}
	return it
}

// errSpecial is in the chain of the error of an item that is neither a file nor
// a folder.
var errSpecial = errors.New("not sent")

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "FIFO"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// checkTarget refuses the target of a symbolic link that may lead out of the
// folder that is sent: it goes up first, and not out of that, and then down.
func checkTarget(at, target string) error {
	bad := func(why string) error {
		return proto.Errorf(proto.Unsafe, "a link to %s is not kept: %s", proto.QuoteText(target), why)
	}
	if target == "" || path.IsAbs(target) || len(target) > proto.MaxPathBytes {
		return bad("it is not relative")
	}
	up, down := strings.Count(at, "/"), false
	if up == 0 {
		return bad("it is in no folder")
	}
	for name := range strings.SplitSeq(target, "/") {
		if name == ".." {
			up--
			if down || up < 1 {
				return bad("it may lead out of the folder")
			}
			continue
		}
		down = true
		if name == "." {
			continue
		}
		if why := checkName(name); why != "" {
			return bad(why)
		}
	}
	return nil
}
