//go:build unix

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/pipe/term/termtest"
	"mesh/proto"
)

// --once prints the screen as tmux shows it.
func TestTTYOnce(t *testing.T) {
	t.Parallel()
	s := share(t, 100, 30)
	s.sharer.Run(`printf '\033[31mred\033[0m 漢字 e\314\201\033[5;20Hfar\033[29;95Hcorner\033[10;1H'`)
	s.sharer.WaitText("corner")
	termtest.Wait(t, func() error {
		cmd := exec.CommandContext(t.Context(), "mesh-tty", "--once", "@tok")
		cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "MESH_HOME="+filepath.Join(s.dir, "home"))
		got, err := cmd.Output()
		if want := s.sharer.Text(); err != nil || strings.TrimRight(string(got), "\n") != want {
			return fmt.Errorf("got %q (%v), want %q", got, err, want)
		}
		return nil
	})
}

// A file that is printed on the shared terminal arrives unchanged with --raw, and when
// a recording of it is played.
func TestTTYForms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := make([]byte, 1<<20)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(data); i++ {
		data[i] = byte(r.IntN(256))
	}
	text := []byte("\x1b[1mA recording\x1b[m of 漢字 and €, \x1b[38;2;1;2;3mcolours\x1b[K\x1b[m\r\n")
	for name, b := range map[string][]byte{"data": data, "text": bytes.Repeat(text, 300)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ file, form, begun string }{{"data", "--raw", "."}, {"text", "--raw", "."}, {"text", "--cast", `"o",`}} {
		token := "tok" + tt.file + tt.form
		sharer := begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--history", "4M", "--listen", "127.0.0.1:0", "--token-file", token, "--record", token+".cast",
			"--", "sh", "-c", "stty raw -echo; until test -e "+token+".go; do printf .; sleep 0.01; done; cat "+tt.file)
		await(t, filepath.Join(dir, token))
		out, err := os.Create(filepath.Join(dir, token+".out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		viewer := begin(t, dir, func(cmd *exec.Cmd) { cmd.Stdout = out }, "mesh-tty", tt.form, "@"+token)
		// A recording begins with the screen, so the file comes after the first output.
		termtest.Wait(t, func() error {
			if got := readFile(t, out.Name()); !bytes.Contains(got, []byte(tt.begun)) {
				return fmt.Errorf("the viewer has printed no %s: %q", tt.begun, got)
			}
			return nil
		})
		if err := os.WriteFile(filepath.Join(dir, token+".go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*aTool{sharer, viewer} {
			if code := p.code(t); code != proto.OK {
				t.Fatalf("%v: ended with %v: %s", p.Args, code, p.stderr.Bytes())
			}
		}
		want, got := readFile(t, filepath.Join(dir, tt.file)), readFile(t, out.Name())
		if tt.form == "--cast" {
			got = play(t, dir, got)
			recorded := play(t, dir, readFile(t, filepath.Join(dir, token+".cast")))
			if recorded = bytes.TrimLeft(recorded, "."); !bytes.Equal(recorded, want) {
				t.Errorf("--record: got %d bytes, %.300q…, want %d", len(recorded), recorded, len(want))
			}
		}
		before, ok := bytes.CutSuffix(got, want)
		if !ok || tt.form == "--raw" && len(bytes.Trim(before, ".")) > 0 {
			t.Errorf("%s %s: got %d bytes, %.300q…, want %d, %.300q…", tt.form, tt.file, len(got), got, len(want), want)
		}
	}
}

// play returns what asciinema prints of a recording. asciinema needs a terminal.
func play(t *testing.T, dir string, recording []byte) []byte {
	t.Helper()
	for _, program := range []string{"asciinema", "script"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here", program)
		}
	}
	cmd := exec.CommandContext(t.Context(), "script", "-qec", "asciinema cat rec.cast", os.DevNull)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "ASCIINEMA_CONFIG_HOME="+dir, "LC_ALL=C.UTF-8")
	if err := os.WriteFile(filepath.Join(dir, "rec.cast"), recording, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("asciinema: %v: %s", err, out)
	}
	return bytes.ReplaceAll(out, []byte("\r\r\n"), []byte("\r\n")) // the terminal's own
}
