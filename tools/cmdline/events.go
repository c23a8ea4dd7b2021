package cmdline

import (
	"errors"
	"os"
	"strconv"

	"mesh/proto"
	"mesh/tools/outfile"
)

// OpenEvents opens the value of --events: a descriptor that the parent process left
// open, or a file. A CMD does not inherit the descriptor. A file is created or
// truncated, with mode 0600, because an event may hold a token. OpenEvents returns
// nil for "". The caller closes the file.
func OpenEvents(to string) (*os.File, error) {
	if to == "" {
		return nil, nil
	}
	if to == "-" {
		err := proto.Errorf(proto.Usage, `--%s takes a descriptor or a file, not "-"`, eventsName)
		return nil, proto.Hint(err, "--"+eventsName+" 1 is standard output")
	}
	fd, err := strconv.Atoi(to)
	if err != nil {
		return createPrivate(to)
	}
	if f := inherited(fd); f != nil {
		return f, nil
	}
	err = proto.Errorf(proto.Usage, "--%s: descriptor %d is not open for writing", eventsName, fd)
	return nil, proto.Hint(err, "open it in the shell: "+strconv.Itoa(fd)+">FILE")
}

// createPrivate opens a file for writing, empty and with mode 0600. A FIFO or a
// device keeps its mode. A file of another user is refused.
func createPrivate(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, proto.IOError(err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		if err = outfile.CheckSecret(name, info); err == nil {
			err = errors.Join(f.Chmod(0o600), f.Truncate(0))
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, proto.IOError(err)
	}
	return f, nil
}
