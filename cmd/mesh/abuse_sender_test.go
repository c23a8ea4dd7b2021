//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
)

// A sender whose count or digest is not that of the data leaves no file.
func TestSenderLies(t *testing.T) {
	t.Parallel()
	for name, done := range map[string]string{
		"digest": `{"transfer":%[1]q,"bytes":5,"blake3":%[3]q,"status":0}`,
		"fewer":  `{"transfer":%[1]q,"bytes":4,"blake3":%[2]q,"status":0}`,
		"none":   `{"transfer":%[1]q,"bytes":0,"blake3":%[2]q,"status":0}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			recv := begin(t, dir, nil, "mesh-recv", "-o", "out", "--listen", "127.0.0.1:0", "--token-file", "tok")
			l, err := attacker.Call(t.Context(), "tcp", tokenIn(t, filepath.Join(dir, "tok")), anyListener(), "send", "")
			if err == nil {
				err = firstOf(l.Meta("pipe"), l.Data([]byte("whole")), l.Send(attacker.JSON(attacker.FileDone, done, l.Transfer, attacker.Digest([]byte("whole")), attacker.Digest([]byte("other")))))
			}
			if err != nil {
				t.Fatal(err)
			}
			l.Finish()
			code := recv.code(t)
			if _, err := os.Stat(filepath.Join(dir, "out")); code != proto.Integrity || !os.IsNotExist(err) {
				t.Errorf("mesh-recv ended with %v, and the file: %v; want %v and none: %s", code, err, proto.Integrity, recv.stderr.Bytes())
			}
		})
	}
}

// A file whose digest is not that of its data is not stored.
func TestSenderLiesAboutFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tok := inboxOf(t, dir)
	small, large := []byte("small"), make([]byte, 70_000)
	for name, send := range map[string]func(l *attacker.Link) error{
		"announced": func(l *attacker.Link) error {
			_, err := l.Offer(attacker.Entry{ID: 1, Path: "dir", Kind: "folder", Mode: 0o700})
			lie := attacker.File(2, "dir/f", small)
			lie.Digest, lie.Now = attacker.Digest([]byte("other")), true
			return firstOf(err, l.Put(lie.Frame(), attacker.Frame{Type: attacker.FilesData, Body: small}))
		},
		"at the end": func(l *attacker.Link) error {
			_, err := l.Offer(attacker.File(1, "f", large))
			if err == nil {
				_, err = l.Offer(attacker.File(2, "g", small))
			}
			return firstOf(err, l.Part(1, large), l.Put(attacker.JSON(attacker.FilesEnd, `{"id":1,"blake3":%q}`, attacker.Digest(small))), l.Whole(2, small))
		},
	} {
		l := deliver(t, tok, anyListener())
		if err := send(l); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if f, err := l.Total(2); err == nil && f.Text("refused") != "1" {
			t.Errorf("%s: got %s, want one file refused", name, f.Body)
		}
		l.Finish()
	}
	for _, name := range []string{"f", "dir/f"} {
		if _, err := os.Stat(filepath.Join(dir, "in", name)); !os.IsNotExist(err) {
			t.Errorf("%s: got %v, want that there is none", name, err)
		}
	}
}

// A sender that goes on behind FILE_DONE leaves either no file and gets an error, or a file
// and gets none.
func TestBehindDone(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"tcp", "quic"} {
		for name, more := range map[string]func(l *attacker.Link) attacker.Frame{
			"data":    func(l *attacker.Link) attacker.Frame { return attacker.Chunk(5, []byte("more")) },
			"overlap": func(l *attacker.Link) attacker.Frame { return attacker.Chunk(0, []byte("other")) },
			"meta": func(l *attacker.Link) attacker.Frame {
				return attacker.JSON(attacker.FileMeta, `{"transfer":%q,"kind":"pipe"}`, l.Transfer)
			},
			"end": func(l *attacker.Link) attacker.Frame {
				return attacker.JSON(attacker.FileDone, `{"transfer":%q,"bytes":5,"blake3":%q,"status":1}`, l.Transfer, attacker.Digest([]byte("whole")))
			},
			"wrong ack": func(l *attacker.Link) attacker.Frame {
				return attacker.JSON(attacker.FileAck, `{"transfer":%q,"bytes":9}`, l.Transfer)
			},
			"wrong type": func(l *attacker.Link) attacker.Frame { return attacker.Frame{Type: 0x7f, Body: []byte("x")} },
		} {
			t.Run(via+" "+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				recv := begin(t, dir, nil, "mesh-recv", "-o", "out", "--listen", "127.0.0.1:0", "--token-file", "tok")
				l, err := attacker.Call(t.Context(), via, tokenIn(t, filepath.Join(dir, "tok")), anyListener(), "send", "")
				if err != nil {
					t.Fatal(err)
				}
				if err := firstOf(l.Meta("pipe"), l.Data([]byte("whole"))); err != nil {
					t.Fatal(err)
				}
				if err := l.Done(more(l)); err != nil {
					t.Fatal(err)
				}
				l.Finish()
				code := recv.code(t)
				got, err := os.ReadFile(filepath.Join(dir, "out"))
				whole := code == proto.OK && string(got) == "whole"
				none := code == proto.Protocol && os.IsNotExist(err)
				if !whole && !none {
					t.Errorf("mesh-recv ended with %v and the file %q (%v): %s", code, got, err, recv.stderr.Bytes())
				}
			})
		}
	}
}
