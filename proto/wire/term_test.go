package wire_test

import (
	"bytes"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/wire"
)

// Every field of a terminal's messages at its limits: a value beyond them is neither
// encoded nor decoded.
func TestTermLimits(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	open := func(change func(*wire.TermOpen)) wire.Message {
		m := &wire.TermOpen{Mode: wire.TermScreen}
		change(m)
		return m
	}
	session := func(change func(*wire.TermSession)) wire.Message {
		m := &wire.TermSession{Rights: "tty:view", Cols: 80, Rows: 24}
		change(m)
		return m
	}
	for what, c := range map[string]struct {
		m  wire.Message
		ok bool
	}{
		"least":                {open(func(*wire.TermOpen) {}), true},
		"mode":                 {open(func(m *wire.TermOpen) { m.Mode = "cast" }), false},
		"no mode":              {open(func(m *wire.TermOpen) { m.Mode = "" }), false},
		"history of a screen":  {open(func(m *wire.TermOpen) { m.History = true }), false},
		"most scrollback":      {open(func(m *wire.TermOpen) { m.Scrollback = proto.MaxTermScrollback }), true},
		"too much scrollback":  {open(func(m *wire.TermOpen) { m.Scrollback = proto.MaxTermScrollback + 1 }), false},
		"negative scrollback":  {open(func(m *wire.TermOpen) { m.Scrollback = -1 }), false},
		"columns alone":        {open(func(m *wire.TermOpen) { m.Cols = 80 }), false},
		"rows alone":           {open(func(m *wire.TermOpen) { m.Rows = 24 }), false},
		"largest":              {open(func(m *wire.TermOpen) { m.Cols, m.Rows = proto.MaxTermCols, proto.MaxTermRows }), true},
		"too wide":             {open(func(m *wire.TermOpen) { m.Cols, m.Rows = proto.MaxTermCols+1, 1 }), false},
		"too high":             {open(func(m *wire.TermOpen) { m.Cols, m.Rows = 1, proto.MaxTermRows+1 }), false},
		"longest name":         {open(func(m *wire.TermOpen) { m.Name = long(proto.MaxTermNameBytes) }), true},
		"too long a name":      {open(func(m *wire.TermOpen) { m.Name = long(proto.MaxTermNameBytes + 1) }), false},
		"name of no text":      {open(func(m *wire.TermOpen) { m.Name = "\xff" }), false},
		"session":              {session(func(*wire.TermSession) {}), true},
		"rights of a writer":   {session(func(m *wire.TermSession) { m.Rights = "tty:view,tty:control" }), true},
		"rights out of order":  {session(func(m *wire.TermSession) { m.Rights = "tty:control,tty:view" }), false},
		"rights to type alone": {session(func(m *wire.TermSession) { m.Rights = "tty:control" }), false},
		"session of no size":   {session(func(m *wire.TermSession) { m.Cols = 0 }), false},
		"session before begin": {session(func(m *wire.TermSession) { m.Seq = -1 }), false},
		"resize":               {&wire.TermResize{Cols: 1, Rows: 1}, true},
		"resize to nothing":    {&wire.TermResize{Cols: 0, Rows: 1}, false},
		"resize below nothing": {&wire.TermResize{Cols: 1, Rows: -1}, false},
		"resize before begin":  {&wire.TermResize{Seq: -1, Cols: 1, Rows: 1}, false},
		"longest mark":         {&wire.TermMark{Text: long(proto.MaxTermTextBytes)}, true},
		"too long a mark":      {&wire.TermMark{Text: long(proto.MaxTermTextBytes + 1)}, false},
		"acknowledged":         {&wire.TermAck{Seq: proto.MaxTransferBytes}, true},
		"negative ack":         {&wire.TermAck{Seq: -1}, false},
		"most writers":         {&wire.TermCtl{Writers: make([]string, proto.MaxTermWriters)}, true},
		"too many writers":     {&wire.TermCtl{Writers: make([]string, proto.MaxTermWriters+1)}, false},
		"writer's long name":   {&wire.TermCtl{Writers: []string{long(proto.MaxTermNameBytes + 1)}}, false},
		"rights":               {&wire.TermCtl{Rights: "tty:view,tty:control"}, true},
		"rights not to view":   {&wire.TermCtl{Rights: "tty:control"}, false},
		"unknown rights":       {&wire.TermCtl{Rights: "root"}, false},
		"negative viewers":     {&wire.TermCtl{Viewers: -1}, false},
		"negative typed":       {&wire.TermCtl{Typed: -1}, false},
		"too long a notice":    {&wire.TermCtl{Notice: long(proto.MaxTermTextBytes + 1)}, false},
		"idle":                 {&wire.TermIdle{Typed: proto.MaxTransferBytes, Seq: 1}, true},
		"idle before input":    {&wire.TermIdle{Typed: -1}, false},
		"idle before output":   {&wire.TermIdle{Seq: -1}, false},
		"status 255":           {&wire.TermExit{Code: 255}, true},
		"status 256":           {&wire.TermExit{Code: 256}, false},
		"status -1":            {&wire.TermExit{Code: -1}, false},
		"signal":               {&wire.TermExit{Code: 128 + 9, Signal: 9}, true},
		"another signal":       {&wire.TermExit{Code: 128 + 9, Signal: 15}, false},
		"signal 128":           {&wire.TermExit{Code: 256, Signal: 128}, false},
	} {
		if got := !panics(func() { wire.AppendFrame(nil, c.m) }); got != c.ok {
			t.Errorf("%s: sent %v, want %v", what, got, c.ok)
		}
	}
	for _, bad := range []string{
		`{"mode":"screen","scrollback":0}`,
		`{"mode":"screen","idle":false}`,
		`{"mode":"screen","idle":true,"name":"x"}`,
		`{"mode":"screen","name":"\ud800"}`,
		"{\"mode\":\"screen\",\"name\":\"\xff\"}",
		`{"mode":"raw","history":false}`,
	} {
		if err := wire.ParseBody([]byte(bad), new(wire.TermOpen)); proto.CodeOf(err) != proto.Protocol {
			t.Errorf("%q: got %v, want it refused", bad, err)
		}
	}
}

func TestTermOut(t *testing.T) {
	t.Parallel()
	const longest = proto.MaxTermOutBytes
	for _, c := range []struct {
		seq int64
		n   int
		ok  bool
	}{
		{0, 1, true},
		{0, 0, false},
		{-1, 1, false},
		{1 << 40, longest, true},
		{0, longest + 1, false},
	} {
		var frame []byte
		if sent := !panics(func() { frame = wire.AppendTermOut([]byte("x"), c.seq, field('a', c.n)) }); sent != c.ok {
			t.Fatalf("%d bytes at %d: sent %v, want %v", c.n, c.seq, sent, c.ok)
		}
		if !c.ok {
			continue
		}
		typ, body, err := wire.ReadFrame(bytes.NewReader(frame[1:]), wire.TypeTermOut)
		if err != nil {
			t.Fatal(err)
		}
		seq, data, err := wire.ParseTermOut(body)
		if typ != wire.TypeTermOut || seq != c.seq || !bytes.Equal(data, field('a', c.n)) || err != nil {
			t.Errorf("got %s of %d bytes at %d (%v), want %d at %d", typ, len(data), seq, err, c.n, c.seq)
		}
	}
	for what, body := range map[string][]byte{
		"nothing":        nil,
		"no seq":         make([]byte, 7),
		"no data":        make([]byte, 8),
		"too much":       make([]byte, 8+longest+1),
		"beyond the end": append([]byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 'x'),
		"negative":       append(field(0xff, 8), 'x'),
	} {
		if _, _, err := wire.ParseTermOut(body); proto.CodeOf(err) != proto.Protocol {
			t.Errorf("%s: got %v, want it refused", what, err)
		}
	}
}

func TestTermSnapshot(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, proto.MaxTermSnapshotBytes} {
		want := wire.TermSnapshot{Seq: 5, Cols: 300, Rows: 2, Repaint: field('a', n)}
		_, body, err := wire.ReadFrame(bytes.NewReader(wire.AppendTermSnapshot(nil, want)), wire.TypeTermSnapshot)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.ParseTermSnapshot(body)
		if err != nil || got.Seq != 5 || got.Cols != 300 || got.Rows != 2 || !bytes.Equal(got.Repaint, want.Repaint) {
			t.Errorf("got %d x %d at %d, %d bytes (%v)", got.Cols, got.Rows, got.Seq, len(got.Repaint), err)
		}
	}
	for what, s := range map[string]wire.TermSnapshot{
		"too large":     {Cols: 1, Rows: 1, Repaint: make([]byte, proto.MaxTermSnapshotBytes+1)},
		"without size":  {},
		"before begin":  {Seq: -1, Cols: 1, Rows: 1},
		"too many rows": {Cols: 1, Rows: proto.MaxTermRows + 1},
	} {
		if !panics(func() { wire.AppendTermSnapshot(nil, s) }) {
			t.Errorf("%s: sent, want a panic", what)
		}
	}
	for what, body := range map[string][]byte{
		"nothing":  nil,
		"cut":      make([]byte, 11),
		"no size":  make([]byte, 12),
		"too wide": {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 1},
		"negative": {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1},
	} {
		if _, err := wire.ParseTermSnapshot(body); proto.CodeOf(err) != proto.Protocol {
			t.Errorf("%s: got %v, want it refused", what, err)
		}
	}
}

func TestTermIn(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int]bool{0: false, 1: true, proto.MaxTermInBytes: true, proto.MaxTermInBytes + 1: false} {
		if got := !panics(func() { wire.AppendTermIn(nil, make([]byte, n)) }); got != ok {
			t.Errorf("%d bytes: sent %v, want %v", n, got, ok)
		}
		if err := wire.CheckTermIn(make([]byte, n)); (err == nil) != ok {
			t.Errorf("%d bytes: got %v, want taken %v", n, err, ok)
		}
	}
}

// A terminal's frame that is too long is refused before its body is read.
func TestTermFrameLimits(t *testing.T) {
	t.Parallel()
	for typ, limit := range map[wire.Type]int{
		wire.TypeTermOpen: proto.MaxTermControlBytes, wire.TypeTermIn: proto.MaxTermInBytes,
		wire.TypeTermOut: 8 + proto.MaxTermOutBytes, wire.TypeTermSnapshot: 12 + proto.MaxTermSnapshotBytes,
		wire.TypeTermAck: proto.MaxTermControlBytes, wire.TypeTermCtl: proto.MaxTermControlBytes,
	} {
		for n, ok := range map[int]bool{limit: true, limit + 1: false, -1: false} {
			if _, err := wire.ParseHeader(wire.AppendHeader(nil, wire.Header{Type: typ, Bytes: n})); (err == nil) != ok {
				t.Errorf("%s of %d bytes: got %v, want taken %v", typ, n, err, ok)
			}
		}
	}
}

func FuzzParseTerm(f *testing.F) {
	f.Add(wire.AppendTermOut(nil, 5, []byte("out"))[proto.FrameHeaderBytes:])
	f.Add(wire.AppendTermSnapshot(nil, wire.TermSnapshot{Seq: 5, Cols: 80, Rows: 24, Repaint: []byte("\x1bc")})[proto.FrameHeaderBytes:])
	f.Add(field(0xff, 12))
	f.Fuzz(func(t *testing.T, body []byte) {
		if seq, data, err := wire.ParseTermOut(body); err == nil {
			if again := wire.AppendTermOut(nil, seq, data)[proto.FrameHeaderBytes:]; !bytes.Equal(again, body) {
				t.Errorf("output: got %x again, want %x", again, body)
			}
		} else if proto.CodeOf(err) != proto.Protocol {
			t.Errorf("output: got %v, want %v", err, proto.Protocol)
		}
		if s, err := wire.ParseTermSnapshot(body); err == nil {
			if again := wire.AppendTermSnapshot(nil, s)[proto.FrameHeaderBytes:]; !bytes.Equal(again, body) {
				t.Errorf("snapshot: got %x again, want %x", again, body)
			}
		} else if proto.CodeOf(err) != proto.Protocol {
			t.Errorf("snapshot: got %v, want %v", err, proto.Protocol)
		}
	})
}
