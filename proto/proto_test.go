package proto_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"mesh/proto"
)

func TestEscapeText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "",
		"plain ünï 漢":             "plain ünï 漢",
		"a\x1b[31mb\r\n":          `a\x1b[31mb\x0d\x0a`,
		"back\\slash":             `back\\slash`,
		"\u202egnp.exe":           `\u{202e}gnp.exe`,
		"\u009b0m\u2028":          `\u{9b}0m\u{2028}`,
		"\xff\xfe":                `\xff\xfe`,
		strings.Repeat("x", 9999): strings.Repeat("x", proto.MaxTextBytes) + "…",
	} {
		if got := proto.EscapeText(in); got != want {
			t.Errorf("EscapeText(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	codes, names := map[proto.Code]bool{}, map[string]bool{}
	for _, i := range proto.Codes {
		if codes[i.Code] || names[i.Name] || i.Meaning == "" {
			t.Errorf("%d %s: twice in the table, or without a meaning", i.Code, i.Name)
		}
		codes[i.Code], names[i.Name] = true, true
		want := i.Code
		if want >= 128 {
			want = proto.Truncated
		}
		if got := proto.CodeFromWire(i.Code.Wire()); got != want {
			t.Errorf("%s over the wire: got %v, want %v", i.Name, got, want)
		}
	}
	for _, n := range []uint64{0, proto.CodeBase - 1, proto.CodeBase + 99, proto.CodeBroken, 1 << 61} {
		if got := proto.CodeFromWire(n); got != proto.Protocol {
			t.Errorf("%#x from the wire: got %v, want %v", n, got, proto.Protocol)
		}
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	coded := proto.Errorf(proto.Denied, "no")
	for _, c := range []struct {
		err  error
		want proto.Code
	}{
		{nil, proto.OK},
		{errors.New("x"), proto.Failed},
		{fmt.Errorf("outer: %w", coded), proto.Denied},
		{proto.IOError(fmt.Errorf("outer: %w", coded)), proto.Denied},
		{proto.IOError(syscall.EIO), proto.IO},
		{proto.IOError(fmt.Errorf("write: %w", syscall.ENOSPC)), proto.Space},
		{proto.IOError(syscall.EFBIG), proto.Space},
	} {
		if got := proto.CodeOf(c.err); got != c.want {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
}

func TestCaps(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]proto.Caps{
		"send": proto.CapSend, "recv,send": proto.CapSend | proto.CapRecv, "send,recv,tty:view,tty:control": proto.AllCaps,
		"": 0, "send,": 0, "send,send": 0, "Send": 0, "send recv": 0, "root": 0,
	} {
		got, err := proto.ParseCaps(in)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("ParseCaps(%q): got %v (%v), want %v", in, got, err, want)
		}
	}
	if got := proto.AllCaps.String(); got != "send,recv,tty:view,tty:control" {
		t.Errorf("got %q", got)
	}
}
