package recv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"mesh/pipe/files"
	"mesh/pipe/progress"
	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/wire"
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
func confirm(ctx context.Context, s cmdline.Streams, what, from, dir string, limit time.Duration) error {
	answer, err := s.AskLine(ctx, what+" from "+from+". Store in "+dir+"? [Y/n] ", limit)
	hint := "mesh-recv -C DIR stores them without a question"
	switch answer = strings.ToLower(answer); {
	case errors.Is(err, cmdline.ErrNoAnswer):
		return proto.Hint(err, hint)
	case err != nil || answer == "" || answer == "y" || answer == "yes":
		return err
	}
	return proto.Hint(proto.Errorf(proto.Declined, "the files are not wanted"), hint)
}

// describe says what is known of the files.
func describe(sum files.Sum) string {
	name := shorten(sum.Name)
	if sum.Top > 1 {
		name = fmt.Sprintf("%s and %d more", name, sum.Top-1)
	}
	count := fmt.Sprintf("%d files, %s", sum.Files, progress.Bytes(sum.Bytes))
	if sum.Files == 1 {
		count = "1 file, " + progress.Bytes(sum.Bytes)
	}
	switch {
	case sum.Top == 0:
		return "files"
	case sum.Files > 0 && sum.More:
		return name + ": more than " + count
	case !sum.More:
		return name + ": " + count
	case sum.Folder && sum.Top == 1:
		return name + " (a folder)"
	case sum.Top > 1:
		return name
	}
	return name + " (" + progress.Bytes(sum.Bytes) + ")"
}

// maxNameShown is how many characters of a name a question shows.
const maxNameShown = 60

func shorten(name string) string {
	if r := []rune(name); len(r) > maxNameShown {
		return string(r[:maxNameShown-1]) + "…"
	}
	return name
}

// askFirst returns a side that stores files if the user wants them.
func askFirst(t transfer, o options, s cmdline.Streams, side filesSide) filesSide {
	answered := t.await()
	return func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		var sum files.Sum
		if t.kind == wire.KindTake {
			var err error
			if sum, err = files.SumOffered(o.names, from, to); err != nil {
				return files.Summary{}, err
			}
		} else {
			sum, from = files.Announced(from)
		}
		if sum.Top > 0 || sum.More { // else there is nothing to store
			if err := confirm(ctx, s, describe(sum), t.from, o.directory, cmdline.AskFor); err != nil {
				return files.Summary{Untaken: true}, err
			}
		}
		answered()
		return side(ctx, from, to)
	}
}

// storeHere asks, and stores files in the current folder.
func storeHere(ctx context.Context, t transfer, o options, d *destination, s cmdline.Streams) error {
	dir, err := os.Getwd()
	if err != nil {
		err = proto.IOError(err)
	} else {
		err = cmdline.CheckFolder(dir)
	}
	if err != nil {
		t.end(err)
		return err
	}
	o.directory = dir
	return storeFiles(ctx, t, o, d, s)
}
