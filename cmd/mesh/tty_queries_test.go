//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mesh/pipe/term/termtest"
)

// queries are sequences that a program sends to a terminal, with the answers as cat -v
// shows them: its kind (twice), the position of the cursor, and its status. The
// emulator answers more of them than tmux.
const (
	queries  = `\033[c\033[>c\033[6n\033[5n`
	answers  = `\^\[\[\?[0-9;]+c\^\[\[>[0-9;]+c\^\[\[\d+;\d+R\^\[\[0n`
	queries2 = `\033[?2004$p\033]11;?\033\\`
	answers2 = `\^\[\[\?2004;2\$y\^\[\]11;rgb:[0-9a-f/]+\^\[\\`
)

// A query of the shared command is answered once: by the sharer's terminal, or by the
// sharer if it has no terminal. The terminals of viewers never answer.
func TestTTYQueries(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const ask = `echo ready; read go
stty raw -echo
printf 'QUERIES' 
while c=$(dd bs=1 count=1 2>/dev/null); do printf %s "$c" >>got; [ "$c" != . ] || break; done
stty sane
cat -v got >seen.tmp; mv seen.tmp seen
echo all read; exec cat
`
	for _, headless := range []bool{false, true} {
		t.Run(fmt.Sprint("headless ", headless), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			queries, answers, last := queries, answers, "[0n"
			if headless {
				queries, answers, last = queries+queries2, answers+answers2, "\x1b\\"
			}
			ask := strings.Replace(ask, "QUERIES", queries, 1)
			if err := os.WriteFile(filepath.Join(dir, "ask"), []byte(ask), 0o600); err != nil {
				t.Fatal(err)
			}
			s := &shared{t: t, dir: dir}
			if headless {
				begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--control", "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "sh", "ask")
			} else {
				s.sharer = s.pane("bash", 80, 24)
				s.sharer.Run("clear; mesh-tty --share --control --listen 127.0.0.1:0 --token-file tok -- sh ask; echo ended $?")
			}
			s.waitFile("tok.control")
			var viewers []*termtest.Pane
			for range 5 {
				v := s.view("tok.control", 80, 24)
				v.WaitText("ready")
				viewers = append(viewers, v)
			}
			viewers[0].Keys("Enter")
			termtest.Wait(t, func() error {
				got, _ := os.ReadFile(filepath.Join(dir, "got"))
				if !strings.HasSuffix(string(got), last) {
					return fmt.Errorf("the command got %q so far", got)
				}
				return nil
			})
			viewers[4].Type(".")
			s.waitFile("seen")
			got, err := os.ReadFile(filepath.Join(dir, "seen"))
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile("^" + answers + `\.$`).Match(got) {
				t.Errorf("got %q, want one answer for each query and a dot", got)
			}
			for i, v := range viewers {
				v.WaitText("all read")
				if got := strings.TrimSpace(v.Text()); strings.Contains(got, "[?") {
					t.Errorf("viewer %d sees an answer: %q", i, got)
				}
			}
		})
	}
}
