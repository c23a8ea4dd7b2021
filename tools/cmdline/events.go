package cmdline

import (
	"os"
	"strconv"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// OpenEvents opens what --events names, for one JSON object a line: a
// descriptor that the parent left open, which a CMD of ours does not inherit,
// or a file that is emptied or made, mode 0600, because an event may hold a
// token. It returns nil without --events. The caller closes it.
func OpenEvents(c *cli.Context) (*os.File, error) {
	to := c.String(eventsName)
	if to == "" {
		return nil, nil
	}
	if to == "-" {
		err := proto.Errorf(proto.Usage, `--%s takes a descriptor or a file, and no "-"`, eventsName)
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

// createPrivate opens a file for writing, empty and readable by its user only; a
// FIFO or a device stays as it is.
func createPrivate(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, proto.IOError(err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = f.Chmod(0o600)
	}
	if err != nil {
		_ = f.Close()
		return nil, proto.IOError(err)
	}
	return f, nil
}
