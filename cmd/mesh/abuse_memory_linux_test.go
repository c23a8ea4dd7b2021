package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
)

// maxListener bounds the memory of a listener in MiB, whatever one bearer of its token
// does: the budget of all windows, and what a Go program takes beside.
const maxListener = proto.BudgetBytes>>20 + 128

// One bearer of a token makes a listener hold the data behind a gap on many links.
func TestGapsFillMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	listen := begin(t, dir, nil, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "cat")
	tok := tokenIn(t, filepath.Join(dir, "tok"))
	bearer := anyListener()
	data := make([]byte, proto.MaxChunkBytes)
	links, held := int(torture(t, "TORTURE_LINKS", 5, 40, 50)), uint64(0)
	var last *attacker.Link
	for range links {
		l, err := attacker.Call(t.Context(), "tcp", tok, bearer, "send,recv", "")
		if err != nil {
			t.Fatal(err)
		}
		poll(t, "a flow, soon after P2P_OK", func() bool {
			_, err := l.AddFlow(t.Context(), "tcp", tok, bearer, "send,recv")
			return err == nil
		})
		err = l.Meta("pipe")
		for at := uint64(len(data)); at+uint64(len(data)) <= l.Window && err == nil; at += uint64(len(data)) {
			err = l.Send(attacker.Chunk(at, data))
			held += uint64(len(data))
		}
		if err != nil {
			t.Fatal(err)
		}
		last = l
	}
	wantMemory(t, listen, fmt.Sprintf("%d links with a gap at 0, %d MiB behind it", links, held>>20), maxListener)
	if err := last.Send(attacker.Chunk(last.Window, data)); err != nil {
		t.Fatal(err)
	}
	if got := proto.Code(last.Ended()); got != proto.Protocol {
		t.Errorf("a chunk beyond the window: closed with %v, want %v", got, proto.Protocol)
	}
}

// One bearer of a token takes data on many links and acknowledges none of it.
func TestUnacknowledgedFillsMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	listen := begin(t, dir, nil, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "cat", "/dev/zero")
	tok := tokenIn(t, filepath.Join(dir, "tok"))
	bearer := anyListener()
	links := int(torture(t, "TORTURE_LINKS", 5, 40, 50))
	var sent atomic.Int64
	for range links {
		l, err := attacker.Call(t.Context(), "tcp", tok, bearer, "send,recv", "")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				f, err := l.Receive()
				if err != nil {
					return
				}
				sent.Add(int64(len(f.Body)))
			}
		}()
	}
	last, same := int64(-1), 0
	poll(t, "an end of the data", func() bool {
		if now := sent.Load(); now == last {
			same++
		} else {
			last, same = now, 0
		}
		return same == 200
	})
	wantMemory(t, listen, fmt.Sprintf("%d links with %d MiB that are not acknowledged", links, last>>20), maxListener)
}

// wantMemory fails the test if a tool has had more memory, in MiB.
func wantMemory(t *testing.T, p *aTool, what string, most int) {
	t.Helper()
	got := procStatus(p, "VmHWM") >> 10
	t.Logf("torture: %s: %d MiB of memory, at most %d", what, got, most)
	if got <= 0 || got > most && !raceDetector {
		t.Errorf("%s: %d MiB of memory, want at most %d", what, got, most)
	}
}

// maxViewer is the most memory, in MiB, that a viewer may take: 64 for the state of the
// terminal, 64 for garbage that is not collected yet, and 96 for the frames of snapshots and
// the program itself.
const maxViewer = 224

// hostileOutput is what a sharer can make a viewer keep, in as few bytes as possible.
// Each function returns a part with other content for each number.
var hostileOutput = map[string]func(i int) string{
	"scrollback": func(i int) string { return fmt.Sprintf("%d\x1b[999Gx\r\n", i) },
	"colours":    func(i int) string { return fmt.Sprintf("\x1b[38;2;%d;%d;%dmx", i>>16&255, i>>8&255, i&255) },
	"links": func(i int) string {
		return fmt.Sprintf("\x1b]8;;http://%x/%s\x1b\\x", i, strings.Repeat("l", i%2*2000))
	},
	"titles": func(i int) string { return fmt.Sprintf("\x1b]2;%d%s\x1b\\\x1b[22;0t", i, strings.Repeat("t", 4000)) },
	"marks": func(i int) string {
		b := []rune{rune('a' + i%26)}
		for n := i / 26; len(b) < 4; n /= 0x6f {
			b = append(b, rune(0x300+n%0x6f))
		}
		return string(b)
	},
	"screens": func(i int) string {
		return fmt.Sprintf("\x1b[?1049%c%d%s", "hl"[i%2], i, strings.Repeat("\u8a9e\u0301", 2000))
	},
	"endless string": func(i int) string {
		return map[bool]string{true: "\x1b]0;"}[i == 0] + strings.Repeat("\u8a9e", 4000)
	},
}

// The memory of a viewer has a bound, whatever its sharer sends.
func TestSharerFillsMemory(t *testing.T) {
	t.Parallel()
	for name, part := range hostileOutput {
		for _, in := range []byte{attacker.TermOut, attacker.TermSnapshot} {
			t.Run(fmt.Sprintf("%s in 0x%x", name, in), func(t *testing.T) {
				t.Parallel()
				key := attacker.NewKey()
				listener, err := attacker.Listen("127.0.0.1:0", attacker.Certificate(key))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(listener.Close)
				tok := attacker.NewToken(key, 4, listener.Addr)
				dir := t.TempDir()
				v := viewOnPTY(t, dir, "--via", "tcp", tok.Encode())
				c, err := listener.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				l, err := attacker.Welcome(c, key, tok)
				if err != nil {
					t.Fatal(err)
				}
				size := int(torture(t, "TORTURE_OUTPUT", 2<<20, 10<<20, 128<<20))
				sent, err := overwhelm(l, part, in, size)
				if err != nil {
					t.Errorf("the sharer, with a viewer that shows %s: %v", v.picture(), err)
				}
				wantMemory(t, &aTool{Cmd: &exec.Cmd{Process: &os.Process{Pid: v.Pid()}}}, fmt.Sprintf("a viewer of %d MiB of %s", sent>>20, t.Name()), maxViewer)
				l.Close(0x4d00)
			})
		}
	}
}

// overwhelm shares a terminal of 1000x100 for a minute, or until its output has a size,
// and waits until the viewer has taken it all. It returns the size of the output.
func overwhelm(l *attacker.Link, part func(int) string, in byte, size int) (sent uint64, err error) {
	begun := time.Now()
	err = l.Meta("tty")
	if err == nil {
		_, err = l.Await(attacker.TermOpen)
	}
	if err == nil {
		err = l.PutWithin(
			attacker.JSON(attacker.TermSession, `{"session":"%032x","rights":"tty:view","seq":0,"cols":1000,"rows":100}`, 1),
			attacker.Snapshot(0, 1000, 100, nil))
	}
	for i := 0; err == nil && int(sent) < size && time.Since(begun) < time.Minute; {
		limit := 16384
		if in == attacker.TermSnapshot {
			limit = min(8<<20, size)
		}
		var b []byte
		for p := part(i); len(b)+len(p) <= limit; p = part(i) {
			b = append(b, p...)
			i++
		}
		if sent += uint64(len(b)); in == attacker.TermSnapshot {
			err = l.PutWithin(attacker.Snapshot(sent, 1000, 100, b))
		} else {
			err = l.PutWithin(attacker.Out(sent-uint64(len(b)), b))
		}
	}
	if err == nil {
		err = l.Taken()
	}
	return sent, err
}
