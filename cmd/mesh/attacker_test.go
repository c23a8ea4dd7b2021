//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
)

// tokenIn waits for the token in a file of --token-file.
func tokenIn(t *testing.T, path string) attacker.Token {
	t.Helper()
	await(t, path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := attacker.ParseToken(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// A peer that is written from the manual page alone sends a pipe to mesh-recv.
func TestPageIsEnough(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"tcp", "quic"} {
		dir := t.TempDir()
		recv := begin(t, dir, nil, "mesh-recv", "--listen", "127.0.0.1:0", "--token-file", "tok", "-o", "out")
		l, err := attacker.Call(t.Context(), via, tokenIn(t, filepath.Join(dir, "tok")), anyListener(), "send", "")
		if err != nil {
			t.Fatalf("%s: %v", via, err)
		}
		data := bytes.Repeat([]byte("data\n"), 200_000)
		if err := firstOf(l.Meta("pipe"), l.Data(data), l.Done()); err != nil {
			t.Errorf("%s: %v", via, err)
		}
		for {
			f, err := l.Receive()
			if err != nil {
				t.Errorf("%s: no final FILE_ACK: %v", via, err)
				break
			}
			if f.Text("final") == "true" {
				break
			}
		}
		l.Close(0x4d00)
		got, err := os.ReadFile(filepath.Join(dir, "out"))
		if code := recv.code(t); code != proto.OK || err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: mesh-recv ended with %v and %d bytes (%v), want %d: %s", via, code, len(got), err, len(data), recv.stderr.Bytes())
		}
	}
}

// A receiver acknowledges each MiB, whatever the sizes of the pieces are.
func TestAcknowledgesEachMiB(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recv := begin(t, dir, nil, "mesh-recv", "--listen", "127.0.0.1:0", "--token-file", "tok", "-o", "out")
	l, err := attacker.Call(t.Context(), "tcp", tokenIn(t, filepath.Join(dir, "tok")), anyListener(), "send", "")
	if err == nil {
		err = l.Meta("pipe")
	}
	data := make([]byte, 700_000)
	for i := 0; i < 40 && err == nil; i++ {
		err = firstOf(l.Data(data), l.Taken())
	}
	if err == nil {
		err = l.Done()
		l.Finish()
	}
	if code := recv.code(t); code != proto.OK || err != nil {
		t.Errorf("the sender: %v; mesh-recv ended with %v: %s", err, code, recv.stderr.Bytes())
	}
}

// anyListener returns the TLS settings of a dialer with a new key that checks no
// listener's certificate.
func anyListener() *tls.Config {
	settings := attacker.Config(attacker.Certificate(attacker.NewKey()))
	settings.InsecureSkipVerify = true
	return settings
}

// A receiver that does not account for each file, or has a large file without having
// seen its digest, is no success.
func TestReceiverMiscounts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answer, stored string // JSON after the id of an entry, and of FILES_STORED
		want           proto.Code
	}{
		{``, `{"files":6}`, proto.OK},
		{``, `{"files":0}`, proto.Protocol},
		{``, `{"files":5}`, proto.Protocol},
		{``, `{"files":7}`, proto.Protocol},
		{``, `{"files":5,"skipped":2}`, proto.Protocol},
		{`,"skip":true`, `{"files":0,"skipped":6}`, proto.Protocol}, // one of the files is large
	} {
		t.Run(tt.answer+tt.stored, func(t *testing.T) {
			t.Parallel()
			key := attacker.NewKey()
			listener, err := attacker.Listen("127.0.0.1:0", attacker.Certificate(key))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(listener.Close)
			dir := t.TempDir()
			args := []string{"--via", "tcp", attacker.NewToken(key, 1, listener.Addr).Encode()}
			tok, _ := attacker.ParseToken(args[2])
			for i, size := range []int{0, 1, 10, 1000, 65536, 65537} {
				name := fmt.Sprintf("f%d", i)
				if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, name)
			}
			cat := begin(t, dir, nil, "mesh-cat", args...)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { // a dialer that fails early calls nobody
				<-cat.ended
				cancel()
			}()
			if err := miscount(ctx, listener, key, tok, tt.answer, tt.stored); err != nil {
				t.Logf("the receiver: %v", err)
			}
			if code := cat.code(t); code != tt.want {
				t.Errorf("mesh-cat ended with %v, want %v: %s", code, tt.want, cat.stderr.Bytes())
			}
		})
	}
}

// miscount receives files until the link ends.
func miscount(ctx context.Context, listener *attacker.Listener, key []byte, tok attacker.Token, answer, stored string) error {
	c, err := listener.Accept(ctx)
	if err != nil {
		return err
	}
	l, err := attacker.Welcome(c, key, tok)
	if err == nil {
		err = l.Meta("files")
	}
	for err == nil {
		var f attacker.Frame
		if f, err = l.Get(); err != nil {
			break
		}
		switch f.Type {
		case attacker.FilesEntry:
			err = l.Put(attacker.JSON(attacker.FilesAnswer, `{"id":%s%s}`, f.Text("id"), answer))
		case attacker.FilesTotal:
			err = firstOf(l.Put(attacker.JSON(attacker.FilesStored, "%s", stored)), l.Done())
		}
	}
	// A sender that got no FILES_STORED that it believes closes the connection before.
	l.Finish()
	return err
}

// A dialer that proves its token and then says nothing loses its place, and the next
// one gets it.
func TestSilentDialerGivesItsPlace(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"tcp", "quic"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			begin(t, dir, nil, "mesh-listen", "--max", "1", "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "cat")
			tok := tokenIn(t, filepath.Join(dir, "tok"))
			l, err := attacker.Call(t.Context(), via, tok, anyListener(), "send,recv", "")
			if err != nil {
				t.Fatal(err)
			}
			if got := proto.Code(l.Ended()); got != proto.Timeout {
				t.Errorf("the listener closed with %v, want %v", got, proto.Timeout)
			}
			poll(t, "a place for the next dialer", func() bool { // soon after the close
				next, err := attacker.Call(t.Context(), via, tok, anyListener(), "send,recv", "")
				if err == nil {
					next.Close(0x4d00)
				}
				return err == nil
			})
		})
	}
}

// Only the key that a token names may answer for it.
func TestAnotherKeyAnswers(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"tcp", "quic"} {
		listener, err := attacker.Listen("127.0.0.1:0", attacker.Certificate(attacker.NewKey()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(listener.Close)
		tok := attacker.NewToken(attacker.NewKey(), 1, listener.Addr)
		cat := begin(t, t.TempDir(), nil, "mesh-cat", "--via", via, tok.Encode())
		if code := cat.code(t); code != proto.Identity {
			t.Errorf("%s: mesh-cat ended with %v, want %v: %s", via, code, proto.Identity, cat.stderr.Bytes())
		}
	}
}
