package recv

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/tools/cmdline"
)

// askFor is how long a question waits for its answer.
const askFor = time.Minute

// asks reports whether a person can be asked where files are to go: all three streams
// are a terminal, on which the content of files would be of no use.
func asks(s cmdline.Streams) bool {
	return term.IsTerminal(s.In) && term.IsTerminal(s.Out) && term.IsTerminal(s.Err)
}

// confirm asks whether the files of a peer may be stored in dir. Enter means yes: the
// user has just asked for them. Any other answer than yes, and none within the time,
// is an error with code [proto.Declined].
func confirm(ctx context.Context, s cmdline.Streams, from, dir string, limit time.Duration) error {
	fmt.Fprintf(s.Err, "%s: files from %s. Store in %s? [Y/n] ", s.Name, proto.EscapeText(from), proto.EscapeText(dir))
	answers := make(chan string, 1)
	go func() { // ends with the process if nobody answers
		line, err := bufio.NewReader(s.In).ReadString('\n')
		if err != nil && (err != io.EOF || line == "") {
			line = "no"
		}
		answers <- line
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	hint := "mesh-recv -C DIR stores them without a question"
	select {
	case answer := <-answers:
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "", "y", "yes":
			return nil
		}
		return proto.Hint(proto.Errorf(proto.Declined, "the files are not wanted"), hint)
	case <-timer.C:
		fmt.Fprintln(s.Err)
		return proto.Hint(proto.Errorf(proto.Declined, "no answer for %s", limit), hint)
	case <-ctx.Done():
		fmt.Fprintln(s.Err)
		return context.Cause(ctx)
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
	if err == nil {
		err = confirm(ctx, s, t.from, dir, askFor)
	}
	if err != nil {
		t.end(err)
		return err
	}
	o.directory = dir
	return storeFiles(ctx, t, o, d, s)
}
