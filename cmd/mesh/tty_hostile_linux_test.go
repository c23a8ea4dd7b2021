package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// viewerMay matches everything that mesh-tty may write to the terminal of a viewer: text,
// colours, cursor position and shape, erasing, modes of keyboard and mouse, a title after
// the name of the peer, links to the web and to mail, and at the end the reset of what it
// has set.
var viewerMay = regexp.MustCompile(`^(?:[\t\r\n\x20-\x7e]|[^\x00-\x{9f}\x{ad}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{fff9}-\x{fffb}\x{e0000}-\x{e007f}]` +
	`|\x{200d}|\x1b\[[0-9;:]*[mHKJr]|\x1b\[[0-6]? q|\x1b\[[0-9;]*l|\x1b\[\?[0-9;]*[hl]|\x1b\[[<>]0?u|\x1b\[=[0-9]+;1u|\x1b\[>4(?:;[0-2])?m|\x1b[>=78]|\x1b\(B|\x0f` +
	`|\x1b\[2[23];2t|\x1b\]2;mk1[0-9a-z…]+(?:: [^\x00-\x1f\x7f-\x{9f}\x{ad}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{fff9}-\x{fffb}\x{e0000}-\x{e007f}]{0,250})?\x07` +
	`|\x1b\]8;;\x1b\\|\x1b\]8;id=[0-9a-f]+;(?:https?://|mailto:)[!-~]+\x1b\\)`)

// Of the output of a hostile command only its appearance reaches the terminal of a
// viewer, and the memory of viewers stays bounded.
func TestTTYHostile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hostile := "\x1b]52;c;cm0gLXJmIH4K\x07\x1b]0;title\x07\x1b]1337;File=:AAAA\x07\x1b]777;notify;a;b\x07" +
		"\x1bP0;1|17/17\x1b\\\x1bPq#0;2;0;0;0~~@@vv\x1b\\\x1bP+q544e\x1b\\\x1b_Gf=24,s=1,v=1;AAAA\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\" +
		"\x1b[c\x1b[6n\x1b[?1$p\x1b[18t\x1b[21t\x1b[8;10;10t\x1b[>q\x1b[?u\x1b[4i\x1b[5i\x1bZ\x05\x07\x1b]11;?\x07" +
		"\u202eevil\u202c\u2066x\u2069\u200b\u200e\u061c\ufeffa\U000e0041\u0085\u009b6n\u009d0;x\u009c\x9b6n\x90q\x9c" +
		"\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07\x1b[?1003;1006;2004h\x1b[?5h"
	for name, b := range map[string][]byte{
		"hostile": []byte(strings.Repeat(hostile+"\r\n", 50)),
		"endless": append([]byte("\x1b]0;"), bytes.Repeat([]byte("A\u202e"), 10<<20/4)...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := "\x1b]0;x\x07\u202eevil\u200b"
	sharer := begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--control", "--name", name, "--listen", "127.0.0.1:0", "--token-file", "tok",
		"--", "sh", "-c", `stty raw -echo; echo ready; read go; cat hostile endless; printf '\033\\ended\r\n'; exec cat`)
	await(t, filepath.Join(dir, "tok.control"))
	v := viewOnPTY(t, dir, "@tok.control")
	v.wait(t, "ready")
	if _, err := v.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	v.wait(t, "ended")
	if _, err := v.Write([]byte("\r~s\r~.")); err != nil {
		t.Fatal(err)
	}
	written := v.rest()
	for rest := written; len(rest) > 0; {
		m := viewerMay.Find(rest)
		if m == nil {
			t.Errorf("the viewer wrote %q", rest[:min(len(rest), 400)])
			break
		}
		rest = rest[len(m):]
	}
	if !bytes.Contains(written, []byte("link")) {
		t.Errorf("of all text nothing is there: %.2000q", written)
	}
	if got := procStatus(sharer, "VmRSS"); got > 64<<10 && !raceDetector {
		t.Errorf("the sharer has %d KiB, want at most 64 MiB", got)
	}
}
