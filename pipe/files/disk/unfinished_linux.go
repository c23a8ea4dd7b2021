package disk

import (
	"bytes"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// umask returns the umask of the process. It reads it, since the system call would
// change it for a moment.
var umask = sync.OnceValues(func() (fs.FileMode, bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	_, rest, found := bytes.Cut(status, []byte("\nUmask:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	mask, err := strconv.ParseUint(string(line), 8, 9)
	return fs.FileMode(mask), found && err == nil
})

func mkdirSticky(in *Folder, name string, perm fs.FileMode) error {
	return rawfd.Control(in.dir, func(at uintptr) error { return unix.Mkdirat(int(at), name, uint32(perm)|unix.S_ISVTX) })
}
