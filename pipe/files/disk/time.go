package disk

import (
	"os"
	"time"
)

// setTime sets the modification time of a file or folder at a path below root, and
// leaves its access time alone.
func setTime(root *os.Root, path string, mtime time.Time) error {
	return root.Chtimes(path, time.Time{}, mtime)
}
