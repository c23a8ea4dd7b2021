package recv

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
)

func TestConfirm(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]proto.Code{
		"\n": proto.OK, "y\n": proto.OK, " Yes \r\n": proto.OK, "Y": proto.OK,
		"n\n": proto.Declined, "no\n": proto.Declined, "what?\n": proto.Declined, "": proto.Declined,
	} {
		var said strings.Builder
		s := cmdline.Streams{Name: "mesh-recv", In: strings.NewReader(answer), Err: &said}
		xtest.WantCode(t, answer, confirm(t.Context(), s, "files", "al\x1bice", "/home/bob", time.Minute), want)
		if got := said.String(); !strings.HasPrefix(got, `mesh-recv: files from al\x1bice. Store in /home/bob? [Y/n] `) {
			t.Errorf("%q: got the question %q", answer, got)
		}
	}
}

// Nobody answers, or the tool is ended meanwhile.
func TestConfirmNobody(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	defer out.Close()
	s := cmdline.Streams{Name: "mesh-recv", In: in, Err: io.Discard}
	xtest.WantCode(t, "no answer", confirm(t.Context(), s, "files", "alice", "/", time.Millisecond), proto.Declined)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(proto.Errorf(proto.Timeout, "the deadline ran out"))
	in2, out2 := io.Pipe()
	defer out2.Close()
	s.In = in2
	xtest.WantCode(t, "ended", confirm(ctx, s, "files", "alice", "/", time.Minute), proto.Timeout)
}
