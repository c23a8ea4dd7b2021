package listen

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/statefile"
)

// shelf keeps the newest files of one peer, one folder and one template of names, and
// removes the older ones. It knows only files that it has stored itself: they are in a
// list in the state folder, the oldest first. A file that has changed since is not of the
// shelf any more, and stays.
type shelf struct {
	path string // of the list
	keep int
}

// keptFolder is in the state folder.
const keptFolder = "kept"

// maxKeep bounds keep, so that a list has at most maxShelfBytes.
const (
	maxKeep       = 10_000
	maxShelfBytes = 8 << 20
)

// newShelf returns the shelf for a folder, a peer and a template in a state folder.
func newShelf(state, folder, peer, template string, keep int) shelf {
	sum := digest.Sum(fmt.Appendf(nil, "%s\x00%s\x00%s", folder, peer, template))
	return shelf{filepath.Join(state, keptFolder, sum.String()[:32]), keep}
}

// kept is a file on a shelf, as it was when it was stored.
type kept struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Time  int64  `json:"time"` // of its last change, in nanoseconds of Unix time
	Inode uint64 `json:"inode"`
}

func keptOf(info fs.FileInfo) kept {
	return kept{info.Name(), info.Size(), info.ModTime().UnixNano(), disk.Inode(info)}
}

// add puts the file called name in root on the shelf, and removes the oldest ones beyond
// those that are kept.
func (s shelf) add(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return proto.IOError(err)
	}
	var failed error // to remove a file
	err = statefile.Edit(s.path, maxShelfBytes, func(old []byte) ([]byte, error) {
		var list []kept
		if json.Unmarshal(old, &list) != nil { // none, or not whole: those files stay
			list = nil
		}
		list = slices.DeleteFunc(list, func(k kept) bool { return k.Name == name || !k.isAsStored(root) })
		list = append(list, keptOf(info))
		for len(list) > s.keep {
			if err := root.Remove(list[0].Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = proto.IOError(err)
				break
			}
			list = list[1:]
		}
		return json.Marshal(list)
	})
	return errors.Join(err, failed)
}

// isAsStored reports whether a file is there, and has not changed since it was stored. A
// symbolic link in its place is not followed.
func (k kept) isAsStored(root *os.Root) bool {
	info, err := root.Lstat(k.Name)
	return err == nil && info.Mode().IsRegular() && keptOf(info) == k
}
