package sharing

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mesh/pipe"
	"mesh/pipe/term"
	"mesh/proto"
	"mesh/tools/cmdline"
)

// shells are commands that leave on the screen what was printed before.
var shells = []string{"ash", "bash", "csh", "dash", "elvish", "fish", "ksh", "mksh", "nu", "osh", "pwsh", "sh", "tcsh", "xonsh", "zsh"}

// takesScreen reports whether the command may cover what stands on the sharer's terminal:
// it is no shell, or is drawn on the alternate screen.
func (o Options) takesScreen(s cmdline.Streams) bool {
	if o.Headless || o.Stream || !term.IsTerminal(s.Err) {
		return false
	}
	if o.Size.set && o.host(s).Size != 0 {
		return true
	}
	if o.Command == nil {
		return false
	}
	name := strings.TrimSuffix(filepath.Base(o.Command[0]), ".exe")
	return !slices.Contains(shells, name)
}

// keyTime bounds one wait for the keyboard, so that the end of ctx is noticed.
const keyTime = 100 * time.Millisecond

// waitForKey waits for a key on the terminal, so that the user can read what stands
// there before the command takes the screen.
func waitForKey(ctx context.Context, s cmdline.Streams, in *os.File, command string) error {
	fmt.Fprintf(s.Err, "%s: press a key to start %s", s.Name, proto.EscapeText(filepath.Base(command)))
	restore, err := term.MakeRaw(in)
	if err != nil {
		return proto.IOError(fmt.Errorf("wait for a key: %w", err))
	}
	defer fmt.Fprintln(s.Err)
	defer restore()
	for !pipe.ReadableWithin(in, keyTime) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	key := make([]byte, 64)
	n, err := in.Read(key)
	switch {
	case err != nil:
		return proto.IOError(fmt.Errorf("wait for a key: %w", err))
	case n > 0 && key[0] == 'C'-'@':
		return cmdline.Silent(proto.Errorf(proto.Interrupted, "interrupted"))
	}
	return nil
}
