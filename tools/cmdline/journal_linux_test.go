package cmdline

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "unsafe" // for go:linkname

	"golang.org/x/sys/unix"

	"mesh/proto"
)

// journalSocket is the path to which go-systemd sends.
//
//go:linkname journalSocket github.com/coreos/go-systemd/v22/journal.journalSocket
var journalSocket string

// fields are one entry of the journal. Fields that are there twice are joined with "|".
type fields map[string]string

// parseEntry reads an entry in the journal's own form.
func parseEntry(b []byte) (fields, error) {
	e := fields{}
	for len(b) > 0 {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		if !found {
			return e, fmt.Errorf("no end of line: %q", line)
		}
		name, value, inline := strings.Cut(string(line), "=")
		if !inline {
			if len(rest) < 8 {
				return e, fmt.Errorf("no length: %q", rest)
			}
			n := binary.LittleEndian.Uint64(rest)
			if rest = rest[8:]; n >= uint64(len(rest)) || rest[n] != '\n' {
				return e, fmt.Errorf("length %d of %d", n, len(rest))
			}
			value, rest = string(rest[:n]), rest[n+1:]
		}
		if old, ok := e[name]; ok {
			value = old + "|" + value
		}
		e[name], b = value, rest
	}
	return e, nil
}

// readEntry takes the next entry from a socket: the datagram, or the file that it carries.
func readEntry(t *testing.T, l *net.UnixConn) fields {
	t.Helper()
	if err := l.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b, oob := make([]byte, 1<<20), make([]byte, 100)
	n, m, _, _, err := l.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	b = b[:n]
	if m > 0 {
		b = readPassed(t, oob[:m])
	}
	e, err := parseEntry(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func readPassed(t *testing.T, oob []byte) []byte {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		t.Fatalf("got %d messages, %v, want one", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("got %d descriptors, %v, want one", len(fds), err)
	}
	f := os.NewFile(uintptr(fds[0]), "entry")
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestJournal is not parallel: it changes journalSocket.
func TestJournal(t *testing.T) {
	old := journalSocket
	if old != "/run/systemd/journal/socket" {
		t.Fatalf("go-systemd sends to %q: is the variable another one?", old)
	}
	t.Cleanup(func() { journalSocket = old })
	dir, err := os.MkdirTemp("", "j") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	journalSocket = filepath.Join(dir, "s")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: journalSocket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var lines bytes.Buffer
	log := slog.New(&journalHandler{name: "mesh-listen", level: slog.LevelInfo, text: newText(&lines, slog.LevelInfo, false)})

	secret := proto.TokenPrefix + strings.Repeat("a7", 60)
	large := strings.Repeat("x", 4<<20) // more than a datagram holds
	err = proto.Hint(proto.Hint(proto.Errorf(proto.Space, "no room\nfor %s", secret), "first"), "second")
	for what, tt := range map[string]struct {
		log  func()
		want fields
	}{
		"an event": {
			func() { log.Info("stored", "event", "stored", "peer_name", "camera", "bytes", int64(7)) },
			fields{"PRIORITY": "6", "MESSAGE": "stored peer_name=camera bytes=7", "MESH_EVENT": "stored", "MESH_PEER_NAME": "camera", "MESH_BYTES": "7"},
		},
		"a warning": {
			func() { log.With("hub", "a b").Warn("slow", "err", errors.New("late")) },
			fields{"PRIORITY": "4", "MESSAGE": `slow hub="a b" err=late`, "MESH_HUB": "a b", "MESH_ERR": "late"},
		},
		"an error": {
			func() { recordError(log, err, []any{"peer_name", "camera"}) },
			fields{
				"PRIORITY": "3", "MESH_CODE": "41", "MESH_NAME": "space", "MESH_PEER_NAME": "camera", "MESH_HINT": "first; second",
				"MESSAGE": `no room\nfor mesh1… code=41 name=space peer_name=camera hint=first hint=second`,
			},
		},
		"hostile values": {
			func() {
				log.Info("a\nPRIORITY=0", "file", "b\nPRIORITY=0\n\x1b[2J\u202e", "to-do", secret, "paths", json.RawMessage(`[1,2]`), "x=\ny", 1)
			},
			fields{
				"PRIORITY": "6", "MESH_FILE": `b\nPRIORITY=0\n\x1b[2J\u202e`, "MESH_TO_DO": "mesh1…", "MESH_PATHS": "[1,2]", "MESH_X__Y": "1",
				"MESSAGE": `a\nPRIORITY=0 file="b\nPRIORITY=0\n\x1b[2J\u202e" to-do=mesh1… paths=[1,2] x=\ny=1`,
			},
		},
		"a large value": {
			func() { log.Info("stored", "file", large) },
			fields{"PRIORITY": "6", "MESH_FILE": large, "MESSAGE": "stored file=" + large},
		},
	} {
		tt.log()
		got := readEntry(t, l)
		tt.want["SYSLOG_IDENTIFIER"] = "mesh-listen"
		for name := range tt.want {
			if got[name] != tt.want[name] {
				t.Errorf("%s: %s: got %.300q, want %.300q", what, name, got[name], tt.want[name])
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %d fields, want %d: %.300v", what, len(got), len(tt.want), got)
		}
	}
	log.Debug("nothing")
	if lines.Len() > 0 {
		t.Errorf("got lines beside the entries: %.300s", lines.String())
	}

	// A journal that is gone costs no record.
	_ = l.Close()
	log.Info("stored", "peer_name", "camera")
	if got, want := lines.String(), "level=INFO msg=stored peer_name=camera\n"; got != want {
		t.Errorf("without a journal: got %q, want %q", got, want)
	}
}
