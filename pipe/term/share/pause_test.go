package share_test

import (
	"strings"
	"testing"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto/wire"
)

// A pause within a viewer's paste ends the paste, drops the input that the terminal has
// not accepted, and the rest of the paste. After the pause the viewer types again.
func TestPauseWithinPaste(t *testing.T) {
	t.Parallel()
	for what, during := range map[string][]string{
		"its end comes during the pause":           {"rest\r", "\x1b[201~x", "\x1b[200~another\x1b[20", "1~"},
		"another begins during the pause":          {"\x1b[201~", "\x1b[200~another"},
		"it goes on behind the pause":              {"rest"},
		"its end is cut by the end of the pause":   {"rest\x1b[20"},
		"nothing comes during the pause":           {},
		"a sequence goes on after it in the pause": {"\x1b[201~\x1b[1;"},
	} {
		stuck := &stuckTerminal{go1: make(chan struct{})}
		r := sharetest.NewRoom(t, share.Options{Input: stuck})
		v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
		v.TypeKeys("\x1b[200~a")
		<-stuck.began()
		v.TypeKeys("waits")
		eventually(t, "keys in the queue", func() bool { return share.Queued(r.Session) == len("\x1b[200~awaits") })
		r.Pause(true)
		close(stuck.go1)
		for _, keys := range during {
			v.TypeKeys(keys)
		}
		r.Type([]byte("secret"))
		eventually(t, "the sharer's keys", func() bool { return strings.HasSuffix(stuck.String(), "secret") })
		v.Send(wire.AppendFrame(nil, &wire.TermResize{Cols: 99, Rows: 9}))
		eventually(t, "what came during the pause", func() bool { return r.List()[0].Cols == 99 })
		r.Pause(false)
		switch what {
		case "its end is cut by the end of the pause":
			v.TypeKeys("1~")
		case "a sequence goes on after it in the pause":
			v.TypeKeys("5C")
		case "its end comes during the pause":
		default:
			v.TypeKeys("late\r\x1b[201~")
		}
		v.TypeKeys("y")
		eventually(t, "the viewer's key", func() bool { return strings.HasSuffix(stuck.String(), "y") })
		got := strings.ReplaceAll(stuck.String(), "\x1b[1;5C", "") // a whole key
		if want := "\x1b[200~a\x1b[201~secrety"; got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
}
