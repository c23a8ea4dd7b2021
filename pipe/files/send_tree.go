package files

import (
	"sync"

	"mesh/pipe/files/disk"
)

// tree is an open folder, below which items are opened. It is closed with its last
// use. A nil tree has no uses to count.
type tree struct {
	root *disk.Folder
	dir  string

	mu   sync.Mutex
	uses int
}

func openTree(dir string) (*tree, error) {
	root, err := disk.Open(dir)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, dir: dir, uses: 1}, nil
}

// use adds a use, which ends with release.
func (t *tree) use() *tree {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.uses++
	return t
}

func (t *tree) release() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.uses--; t.uses == 0 {
		t.root.Close()
	}
}

// level is a folder that the walk is in.
type level struct {
	tree  *tree
	root  *disk.Folder
	path  string // on the wire
	rel   string // in the tree
	names *nameList
	group      // of the last name
	fresh bool // the receiver has made the folder, so it is empty there
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
