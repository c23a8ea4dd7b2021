package cast_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mesh/pipe/term/cast"
	"mesh/proto"
)

var start = time.Unix(1_800_000_000, 0)

func after(d time.Duration) time.Time { return start.Add(d) }

func newWriter(t *testing.T, w io.Writer) *cast.Writer {
	t.Helper()
	c, err := cast.NewWriter(w, cast.Header{Cols: 80, Rows: 24, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	c, err := cast.NewWriter(&b, cast.Header{
		Cols: 120, Rows: 40, Start: start, Title: "a <b>", Command: "vim x",
		Env: map[string]string{"TERM": "xterm", "SHELL": "/bin/sh"},
	})
	check(t, err,
		c.Output(after(0), []byte("\x1b[2J<&>\r\n")),
		c.Input(after(250*time.Millisecond), []byte("q")),
		c.Resize(after(time.Second), 80, 24),
		c.Mark(after(time.Minute), "here"),
		c.Output(after(time.Second), []byte("the clock was set back")),
		c.Close(after(time.Hour)))
	want := `{"version":2,"width":120,"height":40,"timestamp":1800000000,"title":"a <b>","command":"vim x","env":{"SHELL":"/bin/sh","TERM":"xterm"}}
[0.000000, "o", "\u001b[2J<&>\r\n"]
[0.250000, "i", "q"]
[1.000000, "r", "80x24"]
[60.000000, "m", "here"]
[60.000000, "o", "the clock was set back"]
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// outputs returns the text of all output events, which must be valid JSON.
func outputs(t *testing.T, recording []byte) string {
	t.Helper()
	var all strings.Builder
	for i, line := range strings.SplitAfter(string(recording), "\n") {
		if i == 0 || line == "" {
			continue
		}
		var event [3]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("line %d, %q: %v", i+1, line, err)
		}
		if event[1] == "o" {
			all.WriteString(event[2].(string))
		}
	}
	return all.String()
}

func TestCharactersAtEveryCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"ä€😀 é\u2028", "ä€😀 é\u2028"},
		{"a\xffb", "a\ufffdb"},
		{"\xe2\x82", "\ufffd\ufffd"},           // ends within a character
		{"\xe2\x82x", "\ufffd\ufffdx"},         // breaks off within a character
		{"\xc0\xafx", "\ufffd\ufffdx"},         // overlong
		{"\xed\xa0\x80", "\ufffd\ufffd\ufffd"}, // a surrogate
		{"\x80\x80\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},
		{"\ufffd", "\ufffd"},
	} {
		for step := 1; step <= len(tt.in)+1; step++ {
			var b bytes.Buffer
			c := newWriter(t, &b)
			for p := []byte(tt.in); len(p) > 0; {
				n := min(step, len(p))
				check(t, c.Output(start, p[:n]))
				p = p[n:]
			}
			check(t, c.Close(start))
			if got := outputs(t, b.Bytes()); got != tt.want {
				t.Errorf("%q by %d: got %q, want %q", tt.in, step, got, tt.want)
			}
		}
	}
}

// disk is full after room bytes, until the test gives it more.
type disk struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("full")

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.Buffer.Write(p[:n])
	d.room -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestLinesAreWholeAfterAFullDisk(t *testing.T) {
	t.Parallel()
	var d disk
	d.room = 1 << 10
	c := newWriter(t, &d)
	header := d.Len()
	check(t, c.Output(start, []byte("one")))
	line := d.Len() - header
	for room := range 2 * line {
		d := disk{room: header + room}
		c := newWriter(t, &d)
		var failed int
		for _, s := range []string{"one", "two", "six"} {
			if err := c.Output(start, []byte(s)); err != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("room for %d bytes: no error", room)
		}
		d.room = 1 << 10
		check(t, c.Output(start, []byte("end")), c.Close(start))
		got := outputs(t, d.Bytes())
		lost := strings.Contains(d.String(), "bytes were lost here")
		if !strings.HasSuffix(got, "end") || lost != (got != "onetwosixend") {
			t.Errorf("room for %d bytes: got %q, a gap was marked: %v", room, got, lost)
		}
	}
}

func TestEachEventIsOneWrite(t *testing.T) {
	t.Parallel()
	w := new(counter)
	c := newWriter(t, w)
	check(t, c.Output(start, bytes.Repeat([]byte("x"), 1<<20)), c.Mark(start, ""))
	if w.writes != 3 {
		t.Errorf("got %d writes, want 3", w.writes)
	}
}

type counter struct{ writes int }

func (c *counter) Write(p []byte) (int, error) { c.writes++; return len(p), nil }

func TestFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "a.cast")
	f, err := cast.Create(name)
	check(t, err)
	c := newWriter(t, f)
	check(t, c.Output(start, []byte("hello")), f.Close())
	data, err := os.ReadFile(name)
	check(t, err)
	if got := outputs(t, data); got != "hello" {
		t.Errorf("got %q", got)
	}
	info, err := os.Stat(name)
	check(t, err)
	if got := info.Mode().Perm(); runtime.GOOS != "windows" && got != 0o600 {
		t.Errorf("got mode %o", got)
	}
	if _, err := cast.Create(name); proto.CodeOf(err) != proto.Unsafe || !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that exists: got %v", err)
	}
}

// TestAsciinema plays a recording with Debian's asciinema 2.2, which refuses other
// versions of the format.
func TestAsciinema(t *testing.T) {
	t.Parallel()
	asciinema, err := exec.LookPath("asciinema")
	if err != nil {
		t.Skip("no asciinema here")
	}
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("no script(1) here to give asciinema its terminal")
	}
	name := filepath.Join(t.TempDir(), "a.cast")
	f, err := cast.Create(name)
	check(t, err)
	c := newWriter(t, f)
	check(t,
		c.Output(after(0), []byte("\x1b[Hsnapshot\r\n\xe2\x82")),
		c.Input(after(1), []byte("x")),
		c.Resize(after(2), 100, 30),
		c.Mark(after(3), "mark"),
		c.Output(after(time.Millisecond), []byte("\xac \xff\r\n")),
		c.Close(after(time.Second)), f.Close())
	cmd := exec.CommandContext(t.Context(), script, "-qec", asciinema+" cat "+name, os.DevNull)
	cmd.Env = append(os.Environ(), "ASCIINEMA_CONFIG_HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	got := strings.ReplaceAll(string(out), "\r\r\n", "\r\n") // the terminal adds one
	if want := "\x1b[Hsnapshot\r\n€ \ufffd\r\n"; err != nil || got != want {
		t.Errorf("got %q (%v), want %q", out, err, want)
	}
}

func FuzzOutput(f *testing.F) {
	f.Add([]byte("ä€😀\xff\x1b[0m"), uint8(1))
	f.Add([]byte("\xf0\x9f\x98"), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var b bytes.Buffer
		c := newWriter(t, &b)
		for p := in; len(p) > 0; {
			n := min(int(step)+1, len(p))
			check(t, c.Output(start, p[:n]))
			p = p[n:]
		}
		check(t, c.Close(start))
		got := outputs(t, b.Bytes())
		if want := strings.ToValidUTF8(string(in), ""); strings.ReplaceAll(got, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Errorf("%q by %d: got %q", in, step, got)
		}
		if utf8.Valid(in) && got != string(in) {
			t.Errorf("%q by %d: got %q, want the same", in, step, got)
		}
	})
}
