package wire_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"mesh/proto"
	"mesh/proto/wire"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vectorsFile holds frames that other implementations can test themselves with.
// A change of a frame in it is a change of the protocol.
const vectorsFile = "testdata/frames.txt"

const vectorsHeader = `# Test vectors of the protocol mesh/1: frames of every type.
# The format is described in mesh-protocol(7), the section "Frames".
#
# An entry is lines "name: value" and ends with an empty line. "frame" is the
# whole frame in hexadecimal: length, type, body. The lines before it say what
# the frame contains: "body" is the JSON text as it is sent; "data" is
# hexadecimal, all other values are decimal.
# An encoder must produce exactly these frames, a decoder must accept them.

`

func field(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

// samples are messages of every type with a JSON body, as frames.txt has them.
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
		&wire.Entry{ID: 5, Path: "disk.img", Kind: wire.EntryFile, Size: 1 << 33, Holes: 1<<33 - 4096, Mode: 0o600},
		&wire.Entry{ID: 6, Path: "dir", Kind: wire.EntryFolder, Mode: 0o755, Links: true},
		&wire.Entry{ID: 7, Path: "dir/a", Kind: wire.EntryFile, Size: 5, Mode: 0o644, Digest: &digest, Now: true, Links: true},
		&wire.Entry{ID: 8, Path: "dir/b", Kind: wire.EntryLink, Size: 5, Target: "dir/a", Now: true},
		&wire.Answer{ID: 6, Fresh: true, Links: true},
		&wire.Hole{Bytes: 1},
		&wire.Hole{Bytes: proto.MaxHoleBytes},
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
		&wire.Answer{ID: 3, Code: proto.IO, Why: "permission denied"},
		&wire.Answer{ID: 1, Fresh: true, Count: true},
		&wire.Count{Bytes: 1 << 33},
		&wire.Refused{Path: "dir/small", Code: proto.Unsafe},
		&wire.Refused{Path: "dir/small", Code: proto.IO, Why: "no space left on device"},
		&wire.Stored{Files: 3},
		&wire.Stored{Files: 3, Skipped: 1, Bytes: 1 << 33},
		&wire.Stored{Files: 1, Skipped: 1, Refused: 1, Code: proto.Unsafe},

		&wire.Hello{Version: 1, Method: wire.MethodKey, Want: "recv", Kind: wire.KindTake, Window: 1 << 20, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.Meta{Transfer: transfer, Kind: wire.KindTake},
		&wire.Take{},
		&wire.Take{List: wire.ListSum},
		&wire.Take{Names: []string{"dir/small", "../x", "caf\xe9"}, List: wire.ListAll},
		&wire.Listed{Path: "dir", Kind: wire.EntryFolder},
		&wire.Listed{Path: "dir/caf\xe9", Kind: wire.EntryFile, Size: 1 << 33},
		&wire.Sum{},
		&wire.Sum{Path: "dir", Top: 2, Files: 12, Bytes: 34 << 20, More: true},

		&wire.Hello{Version: 1, Method: wire.MethodKey, Want: "tty:view,tty:control", Kind: wire.KindTTY, Window: 256 << 10, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.Meta{Transfer: transfer, Kind: wire.KindTTY},
		&wire.TermOpen{Mode: wire.TermScreen, Scrollback: 1000, Cols: 80, Rows: 24, Name: "alice"},
		&wire.TermOpen{Mode: wire.TermRaw, History: true},
		&wire.TermOpen{Mode: wire.TermRecord},
		&wire.TermOpen{Mode: wire.TermRaw, Name: "alice", Idle: true},
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
		&wire.TermIdle{Typed: 8, Seq: 40},

		&wire.Hello{Version: 1, Method: wire.MethodToken, Token: field(2, 8), Want: "send", Kind: wire.KindPair, Window: 16 << 20, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.Meta{Transfer: transfer, Kind: wire.KindPair},
		&wire.PairName{Name: "laptop"},
		&wire.PairName{},
		&wire.PairAgreed{Addrs: []string{"192.0.2.7:4600", "[2001:db8::7]:4600", "laptop.example:4600"}},
		&wire.PairAgreed{},
		&wire.PairStored{},

		&wire.Hello{Version: 1, Method: wire.MethodCapability, Token: field(2, 52), Want: "recv", Window: 16 << 20, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.Hello{Version: 1, Method: wire.MethodResume, Token: field(1, 16), Want: "send,recv", Window: 16 << 20, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.Hello{Version: 1, Method: wire.MethodFlow, Token: field(1, 16), Want: "send", Kind: wire.KindFiles, Window: 16 << 20, Nonce: field(3, 32), Proof: field(4, 32)},
		&wire.Deny{Class: wire.ClassBusy},
		&wire.Deny{Class: wire.ClassVersion},
		&wire.Deny{Class: wire.ClassCapability},
		&wire.Deny{Class: wire.ClassKind},
		&wire.Deny{Class: wire.ClassPath},
		&wire.Entry{ID: 5, Path: "\"quoted\" \\ / <&> ü 漢", Kind: wire.EntryFolder},
		&wire.Entry{ID: 6, Path: "\x00\x01\b\t\n\v\f\r\x1b\x7f\u0085\u2028\u2029", Kind: wire.EntryFolder},
		&wire.Entry{ID: 7, Path: "caf\xe9/\xff\ufdd0 \uffff \\ \u202e", Kind: wire.EntryFolder},
		&wire.Entry{ID: 8, Path: "l", Kind: wire.EntrySymlink, Target: "d/\x80"},
		&wire.Refused{Path: "caf\xe9", Code: proto.Unsafe},
		&wire.From{ID: 3},
		&wire.TermResize{Cols: 1000, Rows: 500},
		&wire.TermMark{},
		&wire.TermExit{},
		&wire.TermIdle{},
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
	case wire.TypeHole:
		return new(wire.Hole)
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
	case wire.TypeCount:
		return new(wire.Count)
	case wire.TypeStored:
		return new(wire.Stored)
	case wire.TypeTake:
		return new(wire.Take)
	case wire.TypeListed:
		return new(wire.Listed)
	case wire.TypeSum:
		return new(wire.Sum)
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
	case wire.TypeTermIdle:
		return new(wire.TermIdle)
	case wire.TypePairName:
		return new(wire.PairName)
	case wire.TypePairAgreed:
		return new(wire.PairAgreed)
	case wire.TypePairStored:
		return new(wire.PairStored)
	}
	return nil
}

type chunk struct {
	offset int64
	data   []byte
}

// chunks are FILE_CHUNKs, as frames.txt has them.
func chunks() []chunk {
	return []chunk{
		{0, []byte("over the link")},
		{65536, field(0, 1)},
		{1 << 40, []byte("\x00\n\xff{}")},
		{proto.MaxTransferBytes - 1, field(0xff, 1)}, // the last byte that a transfer can have
	}
}

// frames returns every frame of the vectors in the order of the file, as the
// encoders of this package make them.
func frames() [][]byte {
	var out [][]byte
	for _, m := range samples() {
		out = append(out, wire.AppendFrame(nil, m))
	}
	for _, c := range chunks() {
		out = append(out, append(wire.AppendChunkPrefix(nil, c.offset, len(c.data)), c.data...))
	}
	file := []byte("a file's bytes\n")
	out = append(out,
		append(wire.AppendDataHeader(nil, len(file)), file...),
		wire.AppendTermIn(nil, []byte("ls\r")),
		wire.AppendTermIn(nil, []byte("\x1b[A\xc3\xbc\x03")),
		wire.AppendTermOut(nil, 0, []byte("\x1b[31mred\r\n")),
		wire.AppendTermOut(nil, proto.MaxTransferBytes-1, []byte{0xff}),
		wire.AppendTermSnapshot(nil, wire.TermSnapshot{Seq: 1 << 20, Cols: 80, Rows: 24, Repaint: []byte("\x1b[H\x1b[2J$ ")}),
		wire.AppendTermSnapshot(nil, wire.TermSnapshot{Cols: 1000, Rows: 500}),
	)
	return out
}

// entry decodes a frame strictly and returns its entry of the vectors, whose last
// line has the frame as it is encoded again.
func entry(t *testing.T, frame []byte) string {
	t.Helper()
	typ, body, err := wire.ReadFrame(iotest.OneByteReader(bytes.NewReader(frame)), wire.Type(frame[4]))
	if err != nil {
		t.Fatalf("%x: %v", frame, err)
	}
	var lines string
	var again []byte
	switch typ {
	case wire.TypeChunk:
		offset, n, chunkErr := wire.ParseChunkOffset(body[:proto.ChunkHeaderBytes], len(body))
		err = chunkErr
		data := body[len(body)-n:]
		lines = fmt.Sprintf("offset: %d\ndata: %x\n", offset, data)
		again = append(wire.AppendChunkPrefix(nil, offset, n), data...)
	case wire.TypeData:
		lines = fmt.Sprintf("data: %x\n", body)
		again = append(wire.AppendDataHeader(nil, len(body)), body...)
	case wire.TypeTermIn:
		err = wire.CheckTermIn(body)
		lines = fmt.Sprintf("data: %x\n", body)
		again = wire.AppendTermIn(nil, body)
	case wire.TypeTermOut:
		seq, data, outErr := wire.ParseTermOut(body)
		err = outErr
		lines = fmt.Sprintf("seq: %d\ndata: %x\n", seq, data)
		again = wire.AppendTermOut(nil, seq, data)
	case wire.TypeTermSnapshot:
		s, snapErr := wire.ParseTermSnapshot(body)
		err = snapErr
		lines = fmt.Sprintf("seq: %d\ncols: %d\nrows: %d\ndata: %x\n", s.Seq, s.Cols, s.Rows, s.Repaint)
		again = wire.AppendTermSnapshot(nil, s)
	default:
		m := empty(typ)
		err = wire.ParseBody(body, m)
		lines = fmt.Sprintf("body: %s\n", body)
		if err == nil {
			again = wire.AppendFrame(nil, m)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", typ, err)
	}
	return fmt.Sprintf("type: %s\n%sframe: %x\n\n", typ, lines, again)
}

// The encoders produce the vectors, and the decoders read them.
func TestVectors(t *testing.T) {
	t.Parallel()
	var encoded strings.Builder
	encoded.WriteString(vectorsHeader)
	for _, frame := range frames() {
		encoded.WriteString(entry(t, frame))
	}
	for _, m := range samples() {
		again := empty(m.Type())
		if err := wire.ParseBody(wire.AppendFrame(nil, m)[proto.FrameHeaderBytes:], again); err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%s: got %+v (%v), want %+v", m.Type(), again, err, m)
		}
	}
	if *update {
		if err := os.WriteFile(vectorsFile, []byte(encoded.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if encoded.String() != string(want) {
		t.Errorf("the frames differ from %s; got\n%s", vectorsFile, encoded.String())
	}
	decoded, types := vectorsHeader, map[wire.Type]bool{}
	for line := range strings.Lines(string(want)) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "frame: ")
		if !ok {
			continue
		}
		frame, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		decoded += entry(t, frame)
		types[wire.Type(frame[4])] = true
	}
	if decoded != string(want) {
		t.Errorf("%s reads as\n%s", vectorsFile, decoded)
	}
	for typ := range 256 {
		header := wire.AppendHeader(nil, wire.Header{Type: wire.Type(typ)})
		if _, err := wire.ParseHeader(header); err == nil && !types[wire.Type(typ)] {
			t.Errorf("%s has no vector", wire.Type(typ))
		}
	}
}
