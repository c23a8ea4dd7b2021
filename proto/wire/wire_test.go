package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"mesh/proto"
	"mesh/proto/wire"
)

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
		{new(wire.Take), `{"names":[]}`},
		{new(wire.Take), `{"names":[""]}`},
		{new(wire.Take), `{"names":["a","a"]}`},
		{new(wire.Take), `{"names":["` + strings.Repeat("a", proto.MaxPathBytes+1) + `"]}`},
		{new(wire.Take), `{"names":[` + strings.Join(numbered(proto.MaxTakeNames+1), ",") + `]}`},
		{new(wire.Take), `{"list":"some"}`},
		{new(wire.Listed), `{"path":"","kind":"file"}`},
		{new(wire.Listed), `{"path":"a","kind":"device"}`},
		{new(wire.Listed), `{"path":"a","kind":"folder","size":1}`},
		{new(wire.Listed), `{"path":"a","kind":"file","size":-1}`},
		{new(wire.Sum), `{"files":-1}`},
		{new(wire.Sum), `{"path":"a"}`},
		{new(wire.Sum), `{"top":1}`},
		// A reason without a refusal, beside a digest that decides, and too long.
		{new(wire.Answer), `{"id":1,"why":"no"}`},
		{new(wire.Answer), `{"id":1,"skip":true,"why":"no"}`},
		{new(wire.Answer), `{"id":1,"have":1,"blake3":"` + strings.Repeat("0", 64) + `","code":42,"why":"no"}`},
		{new(wire.Answer), `{"id":1,"code":40,"why":""}`},
		{new(wire.Answer), `{"id":1,"code":40,"why":"` + strings.Repeat("a", proto.MaxWhyBytes+1) + `"}`},
		{new(wire.Refused), `{"path":"a","code":40,"why":"` + strings.Repeat("a", proto.MaxWhyBytes+1) + `"}`},
		{new(wire.Refused), "{\"path\":\"a\",\"code\":40,\"why\":\"\xff\"}"},
		{new(wire.Stored), `{"files":1,"bytes":-1}`},
		{new(wire.Count), `{}`},
		{new(wire.Count), `{"bytes":-1}`},
		{new(wire.Count), `{"bytes":9223372036854775808}`},
		{new(wire.Answer), `{"id":1,"count":false}`},
		{new(wire.Stored), `{"files":0,"bytes":1}`},
		// Halves of a byte: one alone, two in the wrong order, a whole character.
		{new(wire.Refused), `{"path":"\ufdde","code":42}`},
		{new(wire.Refused), "{\"path\":\"a\ufdde\",\"code\":42}"},
		{new(wire.Refused), "{\"path\":\"\ufde9\",\"code\":42}"},
		{new(wire.Refused), "{\"path\":\"\ufde9\ufdde\",\"code\":42}"},
		{new(wire.Refused), "{\"path\":\"\ufdde\ufdde\ufde9\",\"code\":42}"},
		{new(wire.Refused), "{\"path\":\"\ufdd6\ufde1\",\"code\":42}"},             // a
		{new(wire.Refused), "{\"path\":\"\ufdd2\ufdef\",\"code\":42}"},             // a slash
		{new(wire.Refused), "{\"path\":\"\ufddc\ufde3\ufddb\ufdec\",\"code\":42}"}, // ü
		{new(wire.Refused), "{\"path\":\"\ufddc\ufde3\u00bc\ufdda\",\"code\":42}"}, // a byte and a half
		{new(wire.Entry), "{\"id\":1,\"path\":\"a\ufdd0\",\"kind\":\"folder\"}"},
		{new(wire.Entry), "{\"id\":1,\"path\":\"a\",\"kind\":\"symlink\",\"target\":\"\ufdd2\ufdee\"}"}, // a dot
	} {
		if err := wire.ParseBody([]byte(c.body), c.m); proto.CodeOf(err) != proto.Protocol {
			t.Errorf("%s %q: got %v, want it refused", c.m.Type(), c.body, err)
		}
	}
}

// numbered returns n quoted words.
func numbered(n int) []string {
	words := make([]string, n)
	for i := range words {
		words[i] = strconv.Quote(strconv.Itoa(i))
	}
	return words
}

// As many names as a FILES_TAKE may have.
func TestTakeNames(t *testing.T) {
	t.Parallel()
	m := new(wire.Take)
	body := `{"names":[` + strings.Join(numbered(proto.MaxTakeNames), ",") + `]}`
	if err := wire.ParseBody([]byte(body), m); err != nil || len(m.Names) != proto.MaxTakeNames {
		t.Errorf("got %d names, %v, want %d", len(m.Names), err, proto.MaxTakeNames)
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
	ping := strings.Replace(good, `,"window"`, `,"kind":"ping","window"`, 1)
	if err := wire.ParseBody([]byte(ping), new(wire.Hello)); err != nil {
		t.Errorf("kind ping: got %v, want it taken", err)
	}
	for _, change := range [][2]string{
		{`"key"`, `"password"`},
		{`"key"`, `"token"`},
		{`"method":"key"`, `"method":"key","token":"AA=="`},
		{`send,recv`, `recv,send`},
		{`send,recv`, `send,send`},
		{`send,recv`, ``},
		{`send,recv`, `root`},
		{`,"window"`, `,"kind":"pong","window"`},
		{`,"window"`, `,"kind":"files","window"`},
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
		{wire.TypeHello, proto.MaxHandshakeFrameBytes},
		{wire.TypeMeta, proto.MaxControlFrameBytes},
		{wire.TypeChunk, proto.ChunkHeaderBytes + proto.MaxChunkBytes},
	} {
		for n, ok := range map[int]bool{0: true, 1: true, c.max - 1: true, c.max: true, c.max + 1: false, -1: false} {
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
		if bytes.ContainsFunc(body, func(r rune) bool { return r >= 0xfdd0 && r <= 0xfdef }) {
			return // bytes that are no characters: package json knows nothing of them
		}
		// Entries have a parser of their own; its result is that of package json.
		want := empty(wire.Type(typ))
		if err := json.Unmarshal(body, want); err != nil || !reflect.DeepEqual(m, want) {
			t.Errorf("%q: got %+v, json %+v (%v)", body, m, want, err)
		}
	})
}

func TestEachTypesLimit(t *testing.T) {
	t.Parallel()
	for typ, limit := range map[wire.Type]int{
		wire.TypeHello:  proto.MaxHandshakeFrameBytes,
		wire.TypeOK:     proto.MaxHandshakeFrameBytes,
		wire.TypeDeny:   proto.MaxHandshakeFrameBytes,
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
		for _, n := range []int{limit + 1, -1} {
			// The reader has no body: an attempt to read one fails with another error.
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

// ReadFrame reads whole frames from a stream that returns one byte at a time, and
// returns the error of a broken stream unchanged.
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

// A body with one byte inserted, removed or appended is refused.
func TestNoOtherForm(t *testing.T) {
	t.Parallel()
	for _, m := range samples() {
		body := string(wire.AppendBody(nil, m))
		for what, bad := range map[string]string{
			"unknown field":  strings.Replace(body, `{`, `{"unknown":1,`, 1),
			"repeated field": strings.Replace(body, `{`, body[:strings.IndexAny(body, ",}")]+`,`, 1),
			"other case":     strings.Replace(body, body[:min(3, len(body))], strings.ToUpper(body[:min(3, len(body))]), 1),
			"space in front": " " + body,
			"space inside":   strings.Replace(body, `:`, `: `, 1),
			"line behind":    body + "\n",
			"more behind":    body + body,
			"a byte behind":  body + "\x00",
			"cut":            body[:len(body)-1],
			"in a list":      "[" + body + "]",
		} {
			if body == "{}" && bad == body {
				continue // there is no field to write in another way
			}
			if err := wire.ParseBody([]byte(bad), empty(m.Type())); proto.CodeOf(err) != proto.Protocol {
				t.Errorf("%s: %s: %s: got %v, want it refused", m.Type(), what, bad, err)
			}
		}
	}
}

// A message with a value out of its range is neither encoded nor decoded.
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
