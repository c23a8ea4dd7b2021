package recv

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/tools/cmdline"
)

// asks reports whether a person can be asked where files are to go: all three streams
// are a terminal, on which the content of files would be of no use.
func asks(s cmdline.Streams) bool {
	return term.IsTerminal(s.In) && term.IsTerminal(s.Out) && term.IsTerminal(s.Err)
}

// confirm asks whether the files of a peer may be stored in dir. Enter means yes: the
// user has just asked for them. Any other answer than yes, and none within the time,
// is an error with code [proto.Declined].
func confirm(ctx context.Context, s cmdline.Streams, from, dir string, limit time.Duration) error {
	answer, err := s.AskLine(ctx, "files from "+from+". Store in "+dir+"? [Y/n] ", limit)
	hint := "mesh-recv -C DIR stores them without a question"
	switch answer = strings.ToLower(answer); {
	case errors.Is(err, cmdline.ErrNoAnswer):
		return proto.Hint(err, hint)
	case err != nil || answer == "" || answer == "y" || answer == "yes":
		return err
	}
	return proto.Hint(proto.Errorf(proto.Declined, "the files are not wanted"), hint)
}

// storeHere asks, and stores files in the current folder.
func storeHere(ctx context.Context, t transfer, o options, d *destination, s cmdline.Streams) error {
	dir, err := os.Getwd()
	if err != nil {
		err = proto.IOError(err)
	} else {
		err = cmdline.CheckFolder(dir)
	}
	if err == nil {
		err = confirm(ctx, s, t.from, dir, cmdline.AskFor)
	}
	if err != nil {
		t.end(err)
		return err
	}
	o.directory = dir
	return storeFiles(ctx, t, o, d, s)
}
