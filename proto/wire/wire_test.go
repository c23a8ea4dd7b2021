package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"mesh/proto"
	"mesh/proto/wire"
)

var update = flag.Bool("update", false, "write the vectors anew")

func field(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

// samples has a message of each type, as the vectors show them.
func samples() []wire.Message {
	digest := wire.Digest(field(7, 32))
	transfer := wire.TransferID(field(1, 16))
	return []wire.Message{
		&wire.Hello{Version: 1, Method: wire.MethodToken, Token: field(2, 8), Want: "send,recv", Window: 16 << 20, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.Hello{Version: 1, Method: wire.MethodKey, Want: "send", Window: 1 << 20, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.OKMessage{Granted: "send", Window: 16 << 20, Transfer: transfer, Nonce: field(5, 32), Proof: field(6, 32)},
		&wire.Deny{Class: wire.ClassDenied},
		&wire.Meta{Transfer: transfer, Kind: wire.KindPipe},
		&wire.Resume{Transfer: transfer, Bytes: 65536},
		&wire.Done{Transfer: transfer, Bytes: 3, Digest: digest, Status: 1},
		&wire.Ack{Transfer: transfer, Bytes: 3},
		&wire.Ack{Transfer: transfer, Bytes: 3, Final: true, Digest: &digest},

		&wire.Hello{Version: 1, Method: wire.MethodKey, Want: "send", Kind: wire.KindFiles, Window: 1 << 20, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.Meta{Transfer: transfer, Kind: wire.KindFiles},
		&wire.Entry{ID: 1, Path: "dir", Kind: wire.EntryFolder, Mode: 0o755, Mtime: 1234567890123456789},
		&wire.Entry{ID: 2, Path: "dir/small", Kind: wire.EntryFile, Size: 5, Mode: 0o644, Mtime: -1, Digest: &digest, Now: true},
		&wire.Entry{ID: 3, Path: "dir/large", Kind: wire.EntryFile, Size: 1 << 33, Mode: 0o600},
		&wire.Entry{ID: 4, Path: "dir/link", Kind: wire.EntrySymlink, Target: "../x"},
		&wire.From{ID: 3, From: 1 << 20},
		&wire.End{ID: 3, Digest: &digest},
		&wire.End{ID: 3, Code: proto.Changed},
		&wire.Total{Entries: 4},
		&wire.Total{Entries: 4, Failed: 1, Code: proto.IO},
		&wire.Answer{ID: 1},
		&wire.Answer{ID: 1, Fresh: true},
		&wire.Answer{ID: 2, Skip: true},
		&wire.Answer{ID: 3, Have: 1 << 20, Digest: &digest},
		&wire.Answer{ID: 3, Have: 1 << 33, Digest: &digest, Code: proto.Unsafe},
		&wire.Refused{Path: "dir/small", Code: proto.Unsafe},
		&wire.Stored{Files: 3},
		&wire.Stored{Files: 1, Skipped: 1, Refused: 1, Code: proto.Unsafe},

		&wire.Hello{Version: 1, Method: wire.MethodKey, Want: "tty:view,tty:control", Kind: wire.KindTTY, Window: 256 << 10, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.Meta{Transfer: transfer, Kind: wire.KindTTY},
		&wire.TermOpen{Mode: wire.TermScreen, Scrollback: 1000, Cols: 80, Rows: 24, Name: "alice"},
		&wire.TermOpen{Mode: wire.TermRaw, History: true},
		&wire.TermOpen{Mode: wire.TermRecord},
		&wire.TermSession{Session: transfer, Name: "build", Rights: "tty:view", Seq: 5, Cols: 120, Rows: 40},
		&wire.TermAck{Seq: 1 << 20},
		&wire.TermResize{Seq: 1 << 20, Cols: 80, Rows: 24},
		&wire.TermMark{Seq: 7, Text: "tests begin"},
		&wire.TermCtl{Viewers: 2, Writers: []string{"alice"}, Notice: "bob has left", Typed: 3, Seq: 9},
		&wire.TermCtl{Paused: true},
		&wire.TermCtl{Viewers: 1, Rights: "tty:view", Ask: true},
		&wire.TermCtl{Ask: true},
		&wire.TermExit{Seq: 9, Code: 7},
		&wire.TermExit{Seq: 9, Code: 143, Signal: 15},
	}
}

// empty returns a message of the type to parse into.
func empty(t wire.Type) wire.Message {
	switch t {
	case wire.TypeHello:
		return new(wire.Hello)
	case wire.TypeOK:
		return new(wire.OKMessage)
	case wire.TypeDeny:
		return new(wire.Deny)
	case wire.TypeMeta:
		return new(wire.Meta)
	case wire.TypeResume:
		return new(wire.Resume)
	case wire.TypeDone:
		return new(wire.Done)
	case wire.TypeAck:
		return new(wire.Ack)
	case wire.TypeEntry:
		return new(wire.Entry)
	case wire.TypeFrom:
		return new(wire.From)
	case wire.TypeEnd:
		return new(wire.End)
	case wire.TypeTotal:
		return new(wire.Total)
	case wire.TypeAnswer:
		return new(wire.Answer)
	case wire.TypeRefused:
		return new(wire.Refused)
	case wire.TypeStored:
		return new(wire.Stored)
	case wire.TypeTermOpen:
		return new(wire.TermOpen)
	case wire.TypeTermSession:
		return new(wire.TermSession)
	case wire.TypeTermAck:
		return new(wire.TermAck)
	case wire.TypeTermResize:
		return new(wire.TermResize)
	case wire.TypeTermMark:
		return new(wire.TermMark)
	case wire.TypeTermCtl:
		return new(wire.TermCtl)
	case wire.TypeTermExit:
		return new(wire.TermExit)
	}
	return nil
}

type chunk struct {
	offset int64
	data   []byte
}

// chunks are FILE_CHUNKs, as the vectors show them.
func chunks() []chunk {
	return []chunk{
		{0, []byte("over the link")},
		{65536, field(0, 1)},
		{1 << 40, []byte("\x00\n\xff{}")},
		{proto.MaxTransferBytes - 1, field(0xff, 1)}, // the last byte there can be
	}
}

// TestVectors holds testdata/frames.txt, which other implementations can read,
// and the code together.
func TestVectors(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, m := range samples() {
		fmt.Fprintf(&b, "type: %s\nbody: %s\nframe: %x\n\n", m.Type(), wire.AppendBody(nil, m), wire.AppendFrame(nil, m))
	}
	for _, c := range chunks() {
		frame := append(wire.AppendChunkPrefix(nil, c.offset, len(c.data)), c.data...)
		fmt.Fprintf(&b, "type: %s\noffset: %d\ndata: %x\nframe: %x\n\n", wire.TypeChunk, c.offset, c.data, frame)
	}
	const file = "testdata/frames.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("frames differ from %s; got\n%s", file, b.String())
	}
	var read strings.Builder // the file again, out of nothing but its frames
	for line := range strings.Lines(string(want)) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "frame: ")
		if !ok {
			continue
		}
		frame, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		typ, body, err := wire.ReadFrame(iotest.OneByteReader(bytes.NewReader(frame)), wire.Type(frame[4]))
		if err != nil {
			t.Fatal(err)
		}
		if typ == wire.TypeChunk {
			offset, n, err := wire.ParseChunkOffset(body[:proto.ChunkHeaderBytes], len(body))
			if err != nil {
				t.Fatal(err)
			}
			data := body[proto.ChunkHeaderBytes:][:n]
			fmt.Fprintf(&read, "type: %s\noffset: %d\ndata: %x\nframe: %x\n\n", typ, offset, data, frame)
			continue
		}
		m := empty(typ)
		if err := wire.ParseBody(body, m); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		fmt.Fprintf(&read, "type: %s\nbody: %s\nframe: %x\n\n", typ, wire.AppendBody(nil, m), wire.AppendFrame(nil, m))
	}
	if read.String() != string(want) {
		t.Errorf("%s reads as\n%s", file, read.String())
	}
}

func TestOneValidForm(t *testing.T) {
	t.Parallel()
	const id = `"01010101010101010101010101010101"`
	digest := `"` + strings.Repeat("07", 32) + `"`
	for _, c := range []struct {
		m    wire.Message
		body string
	}{
		{new(wire.Deny), ``},
		{new(wire.Deny), `null`},
		{new(wire.Deny), `{}`},
		{new(wire.Deny), `[]`},
		{new(wire.Deny), `{"class":"other"}`},
		{new(wire.Deny), `{"class": "denied"}`},
		{new(wire.Deny), `{"class":"denied"} `},
		{new(wire.Deny), `{"class":"denied"}{}`},
		{new(wire.Deny), `{"Class":"denied"}`},
		{new(wire.Deny), `{"class":"denied","class":"denied"}`},
		{new(wire.Deny), `{"class":"denied","more":1}`},
		{new(wire.Deny), `{"class":"\u0064enied"}`},
		{new(wire.Meta), `{"kind":"pipe","transfer":` + id + `}`},
		{new(wire.Meta), `{"transfer":"01","kind":"pipe"}`},
		{new(wire.Meta), `{"transfer":` + strings.ToUpper(strings.Replace(id, "01", "aB", 1)) + `,"kind":"pipe"}`},
		{new(wire.Meta), `{"transfer":` + id + `,"kind":"file"}`},
		{new(wire.Resume), `{"transfer":` + id + `,"bytes":-1}`},
		{new(wire.Resume), `{"transfer":` + id + `,"bytes":1e3}`},
		{new(wire.Resume), `{"transfer":` + id + `,"bytes":9223372036854775808}`},
		{new(wire.Done), `{"transfer":` + id + `,"bytes":3,"blake3":` + digest + `,"status":256}`},
		{new(wire.Done), `{"transfer":` + id + `,"bytes":3,"blake3":"07","status":0}`},
		{new(wire.Ack), `{"transfer":` + id + `,"bytes":3,"final":true}`},
		{new(wire.Ack), `{"transfer":` + id + `,"bytes":3,"final":false}`},
		{new(wire.Ack), `{"transfer":` + id + `,"bytes":3,"blake3":` + digest + `}`},
	} {
		if err := wire.ParseBody([]byte(c.body), c.m); proto.CodeOf(err) != proto.Protocol {
			t.Errorf("%s %q: got %v, want it refused", c.m.Type(), c.body, err)
		}
	}
}

func TestHelloLimits(t *testing.T) {
	t.Parallel()
	good := `{"version":1,"method":"key","want":"send,recv","window":262144,"nonce":"N","proof":"P"}`
	b64 := "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="
	good = strings.NewReplacer("N", b64, "P", b64).Replace(good)
	if err := wire.ParseBody([]byte(good), new(wire.Hello)); err != nil {
		t.Fatalf("got %v, want it taken", err)
	}
	for _, change := range [][2]string{
		{`"key"`, `"password"`},
		{`"key"`, `"token"`},
		{`"method":"key"`, `"method":"key","token":"AA=="`},
		{`send,recv`, `recv,send`},
		{`send,recv`, `send,send`},
		{`send,recv`, ``},
		{`send,recv`, `root`},
		{`262144`, `262143`},
		{`262144`, `1073741825`},
		{b64, b64[4:]},
		{b64, b64[:20] + `\n` + b64[20:]},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if err := wire.ParseBody([]byte(bad), new(wire.Hello)); err == nil {
			t.Errorf("%s for %s: taken, want it refused", change[1], change[0])
		}
	}
}

func TestHeaderLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		t   wire.Type
		max int
	}{
		{wire.TypeHello, proto.MaxUnprovenFrameBytes},
		{wire.TypeMeta, proto.MaxControlFrameBytes},
		{wire.TypeChunk, proto.ChunkHeaderBytes + proto.MaxChunkBytes},
	} {
		for n, ok := range map[int]bool{0: true, 1: true, c.max - 1: true, c.max: true, c.max + 1: false, 0xffffffff: false} {
			_, err := wire.ParseHeader(wire.AppendHeader(nil, wire.Header{Type: c.t, Bytes: n}))
			if (err == nil) != ok {
				t.Errorf("%s of %d bytes: got %v, want taken %v", c.t, n, err, ok)
			}
		}
	}
	for _, typ := range []wire.Type{0, 4, 0x7f, 0xff} {
		if _, err := wire.ParseHeader(wire.AppendHeader(nil, wire.Header{Type: typ})); proto.CodeOf(err) != proto.Protocol {
			t.Errorf("%s: got %v, want it refused", typ, err)
		}
	}
}

func TestCutFrame(t *testing.T) {
	t.Parallel()
	frame := wire.AppendFrame(nil, &wire.Deny{Class: wire.ClassBusy})
	for n := range len(frame) {
		_, _, err := wire.ReadFrame(bytes.NewReader(frame[:n]), wire.TypeDeny)
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("%d of %d bytes: got %v, want %v", n, len(frame), err, want)
		}
	}
	if _, _, err := wire.ReadFrame(bytes.NewReader(frame), wire.TypeOK); proto.CodeOf(err) != proto.Protocol {
		t.Errorf("another type than expected: got %v", err)
	}
}

func TestChunkOffsets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offset uint64
		n      int
		ok     bool
	}{
		{0, 0, false},
		{0, 1, true},
		{0, proto.MaxChunkBytes, true},
		{0, proto.MaxChunkBytes + 1, false},
		{proto.MaxTransferBytes - 1, 1, true},
		{proto.MaxTransferBytes, 1, false},
		{1 << 63, 1, false},
		{^uint64(0), 1, false},
	} {
		var b [proto.ChunkHeaderBytes]byte
		for i := range b {
			b[i] = byte(c.offset >> (56 - 8*i))
		}
		offset, n, err := wire.ParseChunkOffset(b[:], proto.ChunkHeaderBytes+c.n)
		if (err == nil) != c.ok || c.ok && (uint64(offset) != c.offset || n != c.n) {
			t.Errorf("%d bytes at %d: got %d at %d (%v), want taken %v", c.n, c.offset, n, offset, err, c.ok)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, m := range samples() {
		f.Add(wire.AppendFrame(nil, m))
	}
	f.Add(wire.AppendChunkPrefix(nil, 1<<40, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < proto.FrameHeaderBytes {
			return
		}
		typ, body, err := wire.ReadFrame(bytes.NewReader(b), wire.Type(b[4]))
		if err != nil {
			return
		}
		if again := append(wire.AppendHeader(nil, wire.Header{Type: typ, Bytes: len(body)}), body...); !bytes.HasPrefix(b, again) {
			t.Errorf("got %x again, want a prefix of %x", again, b)
		}
		if typ == wire.TypeChunk {
			if _, n, err := wire.ParseChunkOffset(body[:min(len(body), proto.ChunkHeaderBytes)], len(body)); err == nil && n != len(body)-proto.ChunkHeaderBytes {
				t.Errorf("chunk has %d bytes, want %d", n, len(body)-proto.ChunkHeaderBytes)
			}
		}
	})
}

func FuzzParseBody(f *testing.F) {
	for _, m := range samples() {
		f.Add(uint8(m.Type()), wire.AppendBody(nil, m))
	}
	f.Fuzz(func(t *testing.T, typ uint8, body []byte) {
		m := empty(wire.Type(typ))
		if m == nil || wire.ParseBody(body, m) != nil {
			return
		}
		if again := wire.AppendBody(nil, m); !bytes.Equal(again, body) {
			t.Errorf("got %q again, want %q", again, body)
		}
		// Entries are also read by hand; it is what package json reads.
		want := empty(wire.Type(typ))
		if err := json.Unmarshal(body, want); err != nil || !reflect.DeepEqual(m, want) {
			t.Errorf("%q: got %+v, json %+v (%v)", body, m, want, err)
		}
	})
}

func TestEachTypesLimit(t *testing.T) {
	t.Parallel()
	for typ, limit := range map[wire.Type]int{
		wire.TypeHello:  proto.MaxUnprovenFrameBytes,
		wire.TypeOK:     proto.MaxUnprovenFrameBytes,
		wire.TypeDeny:   proto.MaxUnprovenFrameBytes,
		wire.TypeMeta:   proto.MaxControlFrameBytes,
		wire.TypeResume: proto.MaxControlFrameBytes,
		wire.TypeChunk:  proto.ChunkHeaderBytes + proto.MaxChunkBytes,
		wire.TypeDone:   proto.MaxControlFrameBytes,
		wire.TypeAck:    proto.MaxControlFrameBytes,
	} {
		want := wire.Header{Type: typ, Bytes: limit}
		if got, err := wire.ParseHeader(wire.AppendHeader(nil, want)); got != want || err != nil {
			t.Errorf("%s of %d bytes: got %+v (%v), want it taken", typ, limit, got, err)
		}
		for _, n := range []int{limit + 1, 0xffffffff} {
			// The reader has no body: nothing may be asked of it.
			_, _, err := wire.ReadFrame(bytes.NewReader(wire.AppendHeader(nil, wire.Header{Type: typ, Bytes: n})), typ)
			if got := proto.CodeOf(err); got != proto.Protocol {
				t.Errorf("%s of %d bytes: got %v (%v), want %v", typ, n, got, err, proto.Protocol)
			}
		}
	}
	for _, n := range []int{0, proto.FrameHeaderBytes - 1, proto.FrameHeaderBytes + 1} {
		if _, err := wire.ParseHeader(make([]byte, n)); proto.CodeOf(err) != proto.Protocol {
			t.Errorf("header of %d bytes: got %v, want it refused", n, err)
		}
	}
}

// Frames come whole out of a stream that gives a byte at a time, and a broken
// stream's error comes out as it is.
func TestFramesInAStream(t *testing.T) {
	t.Parallel()
	var stream []byte
	for _, m := range samples() {
		stream = wire.AppendFrame(stream, m)
	}
	r := iotest.OneByteReader(bytes.NewReader(stream))
	for _, m := range samples() {
		typ, body, err := wire.ReadFrame(r, m.Type())
		if want := wire.AppendBody(nil, m); err != nil || typ != m.Type() || !bytes.Equal(body, want) {
			t.Errorf("got %s %q (%v), want %s %q", typ, body, err, m.Type(), want)
		}
	}
	if _, _, err := wire.ReadFrame(r, wire.TypeAck); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: got %v, want %v", err, io.EOF)
	}
	broken := errors.New("broken")
	for _, n := range []int{0, 3, 5, 9} {
		_, _, err := wire.ReadFrame(io.MultiReader(bytes.NewReader(stream[:n]), iotest.ErrReader(broken)), wire.TypeHello)
		if !errors.Is(err, broken) {
			t.Errorf("broken after %d bytes: got %v, want %v", n, err, broken)
		}
	}
}

// Each body is refused as soon as one byte is put in, taken out, or follows.
func TestNoOtherForm(t *testing.T) {
	t.Parallel()
	for _, m := range samples() {
		body := string(wire.AppendBody(nil, m))
		for what, bad := range map[string]string{
			"unknown field":  strings.Replace(body, `{`, `{"unknown":1,`, 1),
			"repeated field": strings.Replace(body, `{`, body[:strings.IndexAny(body, ",}")]+`,`, 1),
			"other case":     strings.Replace(body, body[:3], strings.ToUpper(body[:3]), 1),
			"space in front": " " + body,
			"space inside":   strings.Replace(body, `:`, `: `, 1),
			"line behind":    body + "\n",
			"more behind":    body + body,
			"a byte behind":  body + "\x00",
			"cut":            body[:len(body)-1],
			"in a list":      "[" + body + "]",
		} {
			if err := wire.ParseBody([]byte(bad), empty(m.Type())); proto.CodeOf(err) != proto.Protocol {
				t.Errorf("%s: %s: %s: got %v, want it refused", m.Type(), what, bad, err)
			}
		}
	}
}

// A message that breaks the rules is never sent: the limits, from both sides.
func TestNotSent(t *testing.T) {
	t.Parallel()
	hello := func(change func(h *wire.Hello)) wire.Message {
		h := &wire.Hello{Version: 1, Method: wire.MethodKey, Want: "send", Window: proto.MinWindowBytes, Nonce: field(3, 32), Proof: field(4, 32)}
		change(h)
		return h
	}
	for what, c := range map[string]struct {
		m  wire.Message
		ok bool
	}{
		"least window":       {hello(func(*wire.Hello) {}), true},
		"largest window":     {hello(func(h *wire.Hello) { h.Window = proto.MaxWindowBytes }), true},
		"too small a window": {hello(func(h *wire.Hello) { h.Window-- }), false},
		"too large a window": {hello(func(h *wire.Hello) { h.Window = proto.MaxWindowBytes + 1 }), false},
		"negative window":    {hello(func(h *wire.Hello) { h.Window = -1 }), false},
		"short nonce":        {hello(func(h *wire.Hello) { h.Nonce = field(3, 31) }), false},
		"long nonce":         {hello(func(h *wire.Hello) { h.Nonce = field(3, 33) }), false},
		"short proof":        {hello(func(h *wire.Hello) { h.Proof = field(3, 31) }), false},
		"no proof":           {hello(func(h *wire.Hello) { h.Proof = nil }), false},
		"nothing wanted":     {hello(func(h *wire.Hello) { h.Want = "" }), false},
		"out of order":       {hello(func(h *wire.Hello) { h.Want = "recv,send" }), false},
		"key with a token":   {hello(func(h *wire.Hello) { h.Token = field(1, 1) }), false},
		"status 255":         {&wire.Done{Status: 255}, true},
		"status 256":         {&wire.Done{Status: 256}, false},
		"status -1":          {&wire.Done{Status: -1}, false},
		"largest count":      {&wire.Resume{Bytes: proto.MaxTransferBytes}, true},
		"negative resume":    {&wire.Resume{Bytes: -1}, false},
		"negative done":      {&wire.Done{Bytes: -1}, false},
		"negative ack":       {&wire.Ack{Bytes: -1}, false},
		"final, no digest":   {&wire.Ack{Final: true}, false},
	} {
		if got := !panics(func() { wire.AppendFrame(nil, c.m) }); got != c.ok {
			t.Errorf("%s: sent %v, want %v", what, got, c.ok)
		}
	}
	for n, ok := range map[int]bool{-1: false, 0: false, 1: true, proto.MaxChunkBytes: true, proto.MaxChunkBytes + 1: false} {
		if got := !panics(func() { wire.AppendChunkPrefix(nil, 0, n) }); got != ok {
			t.Errorf("chunk of %d bytes: sent %v, want %v", n, got, ok)
		}
	}
	if !panics(func() { wire.AppendChunkPrefix(nil, -1, 1) }) {
		t.Error("chunk at offset -1: sent, want a panic")
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
