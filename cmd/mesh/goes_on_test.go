//go:build unix

package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
)

// A dialer that goes on behind its end, at once or when the receiver has confirmed it, does
// not change the outcome: mesh-recv has published the file and ends with 0, or neither.
func TestGoesOnBehindTheEnd(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("data\n"), 10_000)
	pipe := func(l *attacker.Link, more attacker.Frame, late bool) {
		_ = firstOf(l.Meta("pipe"), l.Data(data))
		done := attacker.JSON(attacker.FileDone, `{"transfer":%q,"bytes":%d,"blake3":%q,"status":0}`, l.Transfer, len(data), attacker.Digest(data))
		if late {
			_ = l.Send(done)
			_, _ = l.Receive()
			_ = l.Send(more)
		} else {
			_ = l.Send(done, more)
		}
		l.Ended()
	}
	entry := attacker.JSON(attacker.FilesEntry, `{"id":1,"path":"f","kind":"file","size":%d,"mode":420,"mtime":1000000000000000000,"blake3":%q,"now":true}`, len(data), attacker.Digest(data))
	content := attacker.Frame{Type: attacker.FilesData, Body: data}
	file := func(l *attacker.Link, more attacker.Frame, late bool) {
		_ = firstOf(l.Meta("files"), l.Put(entry, content))
		total := attacker.JSON(attacker.FilesTotal, `{"entries":1}`)
		if late {
			_ = l.Put(total)
			for f, err := l.Get(); err == nil && f.Type != attacker.FilesStored; f, err = l.Get() {
			}
			_ = l.Put(more)
		} else {
			_ = l.Put(total, more)
		}
		l.Ended()
	}
	early := func(l *attacker.Link, more attacker.Frame, _ bool) { // in place of FILES_TOTAL
		_ = firstOf(l.Meta("files"), l.Put(entry, content, more))
		l.Ended()
	}
	for _, tt := range []struct {
		name  string
		kind  string
		args  []string
		say   func(l *attacker.Link, more attacker.Frame, late bool)
		whole func([]byte) bool
	}{
		{"pipe", "", nil, pipe, func(b []byte) bool { return bytes.Equal(b, data) }},
		{"file", "files", nil, file, func(b []byte) bool { return bytes.Equal(b, data) }},
		{"file without total", "files", nil, early, func([]byte) bool { return false }},
		{"zip", "files", []string{"--archive", "zip"}, file, func(b []byte) bool {
			_, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
			return err == nil
		}},
		{"tar", "files", []string{"--archive", "tar"}, file, func(b []byte) bool { return bytes.Contains(b, data) }},
	} {
		for what, more := range map[string]attacker.Frame{
			"more data":     attacker.Chunk(uint64(len(data)), []byte("more")),
			"another end":   attacker.JSON(attacker.FileDone, `{}`),
			"another total": attacker.JSON(attacker.FilesTotal, `{"entries":7}`),
			"no frame":      {Type: 0xee, Body: make([]byte, 100)},
		} {
			for _, late := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, late: %t", tt.name, what, late), func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					recv := begin(t, dir, nil, "mesh-recv", append([]string{"--listen", "127.0.0.1:0", "--token-file", "tok", "--resume-for", "0", "-o", "out"}, tt.args...)...)
					l, err := attacker.Call(t.Context(), "tcp", tokenIn(t, filepath.Join(dir, "tok")), anyListener(), "send", tt.kind)
					if err != nil {
						t.Fatal(err)
					}
					defer l.Close(0x4d00)
					tt.say(l, more, late)
					code := recv.code(t)
					got, err := os.ReadFile(filepath.Join(dir, "out"))
					switch {
					case code == proto.OK && err == nil && tt.whole(got):
					case code != proto.OK && os.IsNotExist(err) && (!late || tt.name == "file without total"):
					default:
						t.Errorf("mesh-recv ended with %v, and left %d bytes (%v): %s", code, len(got), err, recv.stderr.Bytes())
					}
				})
			}
		}
	}
}
