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

func TestQuoteText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":              `""`,
		"uni/new\nline": `"uni/new\x0aline"`,
		`a "b" \`:       `"a \"b\" \\"`,
	} {
		if got := proto.QuoteText(in); got != want {
			t.Errorf("QuoteText(%q): got %s, want %s", in, got, want)
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
		if sent := want == i.Code && want != proto.OK; sent != (i.Peer != "") || sent && i.Code.OfPeer() != i.Peer {
			t.Errorf("%s of a peer: got %q and %q, want words if one sends it (%v)", i.Name, i.Peer, i.Code.OfPeer(), sent)
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

// A text is cut at the limit, not before.
func TestEscapeTextLength(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, proto.MaxTextBytes - 1, proto.MaxTextBytes, proto.MaxTextBytes + 1, 1 << 16} {
		got := proto.EscapeText(strings.Repeat("x", n))
		if want := min(n, proto.MaxTextBytes); strings.Count(got, "x") != want || strings.HasSuffix(got, "…") != (n > want) {
			t.Errorf("%d bytes: got %d bytes %.20q…, want %d of them", n, len(got), got, want)
		}
	}
	for _, hostile := range []string{"\x1b", "\n", "\u202e", "\xff", "\u0085", "漢", "\U0010ffff"} {
		got := proto.EscapeText(strings.Repeat(hostile, proto.MaxTextBytes))
		if strings.ContainsAny(got, "\x1b\n\u202e\u0085\U0010ffff") || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%q many times: got %.40q, want it escaped", hostile, got)
		}
	}
}

// The number of a signal is never sent.
func TestSignalsOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []proto.Code{128, proto.Interrupted, proto.BrokenStdout, proto.Terminated, 255} {
		if got, want := c.Wire(), proto.Truncated.Wire(); got != want {
			t.Errorf("%v: got %#x, want %#x", c, got, want)
		}
		if got := proto.CodeFromWire(proto.CodeBase + uint64(c)); got != proto.Protocol {
			t.Errorf("%d from the wire: got %v, want %v", int(c), got, proto.Protocol)
		}
	}
	if got, want := proto.Code(99).String(), "code 99"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The labels separate the uses of one key. They could not if one began another.
func TestLabels(t *testing.T) {
	t.Parallel()
	labels := []string{proto.ExporterLabel, proto.LabelDialer, proto.LabelListener, proto.LabelResume, proto.LabelTransfer, proto.LabelCapability}
	for i, a := range labels {
		for j, b := range labels {
			if i != j && strings.HasPrefix(a, b) {
				t.Errorf("label %q begins with label %q", a, b)
			}
		}
	}
}
