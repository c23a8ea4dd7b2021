package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// utf16LE returns what the redirection of Windows PowerShell makes of text.
func utf16LE(text string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// TestPastes gives PEER as people paste it: as arguments and in a file.
func TestPastes(t *testing.T) {
	n := newNode(t, nil)
	bob := xtest.NewKey(t)
	tok, err := token.NewCapability(bob, proto.CapSend, time.Hour, 1, identity.ID{}, []string{"192.0.2.7:7"})
	text := encode(t, tok, err)
	tok2, err := token.NewCapability(bob, proto.CapSend, time.Hour, 1, identity.ID{}, []string{"192.0.2.7:7"})
	other := encode(t, tok2, err)
	if err := n.Book.Add(identity.Peer{Name: "bob", ID: bob.ID(), Addrs: []string{"192.0.2.7:7"}}); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{
		"tok": text + "\n", "two": text + "\n" + other + "\n", "twice": text + "\n" + text, "empty": "", "blank": " \r\n", "photo": "no token",
		"bom": "\ufeff" + text + "\r\n", "utf16": utf16LE(text + "\r\n"), "log": "mesh-recv: on the other side, run: mesh-cat " + text + "\n",
		"mail": "> " + text[:60] + "\n> " + text[60:120] + "\n> " + text[120:] + "\n", "qp": text[:75] + "=\r\n" + text[75:],
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	half, wrong := len(text)/2, func(at int, with string) string { return text[:at] + with + text[at+1:] }
	swapped := "a"
	if text[len(text)-20] == 'a' {
		swapped = "b"
	}
	for _, tt := range []struct {
		what  string
		args  []string
		rest  string     // of the arguments
		code  proto.Code // OK: bob is found
		words string     // in the error or its hints
	}{
		{what: "as it is", args: []string{text}},
		{what: "blanks around", args: []string{"  " + text + "\t\n"}},
		{what: "CRLF", args: []string{text + "\r\n"}},
		{what: "double quotes", args: []string{`"` + text + `"`}},
		{what: "single quotes", args: []string{"'" + text + "'"}},
		{what: "typographic quotes", args: []string{"“" + text + "”"}},
		{what: "low quotes", args: []string{"„" + text + "“"}},
		{what: "guillemets", args: []string{"« " + text + " »"}},
		{what: "angle brackets", args: []string{"<" + text + ">"}},
		{what: "brackets", args: []string{"([" + text + "])"}},
		{what: "backticks", args: []string{"`" + text + "`"}},
		{what: "fenced", args: []string{"```\n" + text + "\n```"}},
		{what: "bold", args: []string{"**" + text + "**"}},
		{what: "a dot", args: []string{text + "."}},
		{what: "a comma", args: []string{text + ","}},
		{what: "upper case", args: []string{strings.ToUpper(text)}},
		{what: "a capital letter", args: []string{"M" + text[1:]}},
		{what: "byte order mark", args: []string{"\ufeff" + text}},
		{what: "no-break space", args: []string{"\u00a0" + text[:half] + "\u00a0" + text[half:]}},
		{what: "zero width", args: []string{text[:9] + "\u200b" + text[9:half] + "\u2060" + text[half:] + "\u200d"}},
		{what: "soft hyphen", args: []string{text[:half] + "\u00ad" + text[half:]}},
		{what: "direction marks", args: []string{"\u202a" + text + "\u202c"}},
		{what: "bracketed paste", args: []string{"\x1b[200~" + text + "\x1b[201~"}},
		{what: "a line break", args: []string{text[:half] + "\n" + text[half:]}},
		{what: "a continued line", args: []string{text[:half] + "\\\n" + text[half:]}},
		{what: "quoted by a mail", args: []string{"> " + text[:half] + "\n> " + text[half:]}},
		{what: "a whole line", args: []string{"mesh-cat " + text}},
		{what: "a line with a prompt", args: []string{"bob@host:~$ mesh-cat " + text}},
		{what: "a line in words", args: []string{"mesh-cat", text}},
		{what: "a prompt in words", args: []string{"$", "mesh-cat", text}},
		{what: "the toolbox in words", args: []string{"$", "mesh", "cat", text}},
		{what: "a line with the variable", args: []string{"MESH_PEER=" + text, "mesh-cat"}},
		{what: "the message of a tool", args: []string{"mesh-recv: on the other side, run: mesh-cat " + text}},
		{what: "two words", args: []string{text[:half], text[half:]}},
		{what: "three words", args: []string{text[:30], text[30:half], text[half:]}},
		{what: "two words and a file", args: []string{text[:half], text[half:], "photo"}, rest: "photo"},
		{what: "the prefix alone", args: []string{text[:5], text[5:]}},
		{what: "twice", args: []string{text + " " + text}},
		{what: "@ before a token", args: []string{"@" + text}},
		{what: "a token and files", args: []string{text, "tok", "photo"}, rest: "tok photo"},
		{what: "a name", args: []string{"bob", "tok"}, rest: "tok"},
		{what: "a name in quotes", args: []string{" “bob” "}},
		{what: "a line with a name", args: []string{"$ mesh-cat bob"}},
		{what: "a file", args: []string{"@tok"}},
		{what: "a file in quotes", args: []string{`"@tok"`}},
		{what: "a blank behind @", args: []string{"@ tok"}},
		{what: "a file with a byte order mark", args: []string{"@bom"}},
		{what: "a file in UTF-16", args: []string{"@utf16"}},
		{what: "a file with a message", args: []string{"@log"}},
		{what: "a file with a mail", args: []string{"@mail"}},
		{what: "a file with a soft line break", args: []string{"@qp"}},
		{what: "a file with the token twice", args: []string{"@twice"}},

		{what: "nothing", args: []string{" "}, code: proto.Usage, words: "PEER is missing"},
		{what: "a letter mistyped", args: []string{wrong(len(text)-20, swapped)}, code: proto.Usage, words: "a character is mistyped"},
		{what: "a digit for a letter", args: []string{wrong(70, "0")}, code: proto.Usage, words: "character 71 is wrong"},
		{what: "a letter missing", args: []string{wrong(len(text)-20, "")}, code: proto.Usage, words: "characters are missing: it has"},
		{what: "the end missing", args: []string{text[:len(text)-9]}, code: proto.Usage, words: "characters are missing: it has"},
		{what: "the half", args: []string{text[:half]}, code: proto.Usage, words: "characters are missing"},
		{what: "the prefix", args: []string{"mesh1"}, code: proto.Usage, words: "not a token"},
		{what: "the other half", args: []string{text[half:]}, code: proto.Usage, words: "part of a token"},
		{what: "the other half, in two", args: []string{text[half : half+40], text[half+40:]}, code: proto.Usage, words: "part of a token"},
		{what: "two words, one damaged", args: []string{text[:half], text[half : len(text)-3]}, code: proto.Usage, words: "characters are missing"},
		{what: "another token", args: []string{text + "\n" + other}, code: proto.Usage, words: "two tokens"},
		{what: "another token as a file", args: []string{text, other}, code: proto.Usage, words: "part of a token"},
		{what: "a damaged token and a file", args: []string{text[:half], "photo"}, code: proto.Usage, words: "characters are missing"},
		{what: "@ before a damaged token", args: []string{"@" + text[:half]}, code: proto.Usage, words: "characters are missing"},
		{what: "a missing file with a name like a token", args: []string{"@mesh1tok"}, code: proto.IO, words: "no such file"},
		{what: "a forgotten @", args: []string{"tok"}, code: proto.Usage, words: "@tok stands for the token"},
		{what: "a forgotten PEER", args: []string{"photo"}, code: proto.Usage, words: "PEER is missing: photo is a file"},
		{what: "a forgotten PEER before a folder", args: []string{"dir"}, code: proto.Usage, words: "PEER is missing: dir is a file or folder"},
		{what: "a file with two tokens", args: []string{"@two"}, code: proto.Usage, words: "two: not a token: there are two tokens"},
		{what: "an empty file", args: []string{"@empty"}, code: proto.Usage, words: "it is empty"},
		{what: "a blank file", args: []string{"@blank"}, code: proto.Usage, words: "it is empty"},
		{what: "another file", args: []string{"@photo"}, code: proto.Usage, words: "does not begin with mesh1"},
		{what: "a folder", args: []string{"@dir"}, code: proto.IO, words: "directory"},
		{what: "a missing file", args: []string{"@none"}, code: proto.IO, words: "@FILE is a file that holds a token"},
		{what: "a tilde", args: []string{"@~/tok"}, code: proto.IO, words: "@$HOME/tok"},
		{what: "@ alone", args: []string{"@"}, code: proto.Usage, words: "without the name of a file"},
	} {
		p, rest, err := node.PeerOf(tt.args, "")
		var peer node.Peer
		if err == nil {
			peer, err = n.Peer(t.Context(), p)
		}
		xtest.WantCode(t, tt.what, err, tt.code)
		if err == nil && (peer.ID != bob.ID() || peer.Name != "bob" || strings.Join(rest, " ") != tt.rest) {
			t.Errorf("%s: got %s %q and %q behind it, want bob and %q", tt.what, peer.ID.Short(), peer.Name, rest, tt.rest)
		}
		if err != nil {
			said := err.Error() + " " + strings.Join(proto.Hints(err), " ")
			if !strings.Contains(said, tt.words) {
				t.Errorf("%s: got %q, want %q in it", tt.what, said, tt.words)
			}
			for i := 5; i+10 < len(text); i += 5 {
				if strings.Contains(said, text[i:i+10]) {
					t.Errorf("%s: got %q, which shows a part of the token", tt.what, said)
				}
			}
		}
	}
}

// What is found in the environment is read like an argument.
func TestPasteInEnvironment(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	tok, err := token.NewCapability(xtest.NewKey(t), proto.CapSend, time.Hour, 0, identity.ID{}, []string{"192.0.2.7:7"})
	text := encode(t, tok, err)
	path := filepath.Join(t.TempDir(), "tok")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, env := range []string{text, " '" + text + "'\r\n", strings.ToUpper(text), "@" + path, "\ufeff@" + path + "\n", "export MESH_PEER=" + text} {
		p, rest, err := node.PeerOf(nil, env)
		if err != nil || rest != nil {
			t.Fatalf("got %q, %v", rest, err)
		}
		if peer, err := n.Peer(t.Context(), p); err != nil || peer.ID != tok.Listener {
			t.Errorf("got %s, %v, want %s", peer.ID.Short(), err, tok.Listener.Short())
		}
	}
}
