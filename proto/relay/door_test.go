package relay_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"mesh/proto"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

func TestGreeting(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, relay.MaxPermitBytes - 1, relay.MaxPermitBytes} {
		permit := strings.Repeat("p", n)
		b := append(relay.AppendGreeting(nil, permit), "rest"...)
		r := bytes.NewReader(b)
		got, err := relay.ReadGreeting(iotest.OneByteReader(r))
		if got != permit || err != nil || r.Len() != len("rest") {
			t.Errorf("permit of %d bytes: got %d bytes (%v) and %d left, want %d left", n, len(got), err, r.Len(), len("rest"))
		}
	}
	for what, text := range map[string]string{
		"no permit":   relay.Magic + "\x00\x00",
		"long permit": relay.Magic + "\x04\x01" + strings.Repeat("p", 1025),
		"other magic": "MESHRLY2\x00\x01p",
		"HTTP":        "MERGE / HTTP/1.1\r\n\r\n",
	} {
		_, err := relay.ReadGreeting(strings.NewReader(text))
		xtest.WantCode(t, what, err, proto.Protocol)
	}
	whole := relay.AppendGreeting(nil, "permit")
	for n := range whole {
		_, err := relay.ReadGreeting(bytes.NewReader(whole[:n]))
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: got %v, want the end of the stream", n, len(whole), err)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for s, want := range map[relay.Status]string{relay.Waiting: "waiting", relay.Joined: "joined", relay.Left: "left", relay.Draining: "draining"} {
		if err := s.Check(); err != nil || s.String() != want {
			t.Errorf("status %d: got %v (%v), want %s", byte(s), s, err, want)
		}
	}
	refusals := 0
	for b := range 256 {
		s := relay.Status(b)
		err := s.Check()
		r, refused := errors.AsType[*relay.Refused](err)
		switch {
		case refused:
			refusals++
			xtest.WantCode(t, r.Error(), err, r.Code)
			if got := relay.Refuse(r.Code); got != s {
				t.Errorf("code %v is refused with %v, want %v", r.Code, got, s)
			}
		case b > int(relay.Draining):
			xtest.WantCode(t, s.String(), err, proto.Protocol)
		}
	}
	if refusals != len(relay.Refusals) {
		t.Errorf("%d statuses refuse, want %d", refusals, len(relay.Refusals))
	}
	if got := relay.Refuse(proto.Internal); got != relay.Refuse(proto.Protocol) {
		t.Errorf("another code is refused with %v, want %v", got, relay.Refuse(proto.Protocol))
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add(relay.AppendGreeting(nil, "permit"))
	f.Add([]byte(relay.Magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		permit, err := relay.ReadGreeting(r)
		if read := len(b) - r.Len(); read > len(relay.Magic)+2+relay.MaxPermitBytes {
			t.Errorf("read %d bytes", read)
		}
		if err == nil && !bytes.HasPrefix(b, relay.AppendGreeting(nil, permit)) {
			t.Errorf("got permit %q from other bytes", permit)
		}
	})
}
