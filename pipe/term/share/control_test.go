package share_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe/term/cast"
	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/pipe/term/vt"
	"mesh/proto"
	"mesh/proto/wire"
)

func TestKick(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{})
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	if err := r.Kick(7); proto.CodeOf(err) != proto.Usage {
		t.Errorf("nobody: got %v", err)
	}
	if err := r.Kick(1); err != nil {
		t.Fatal(err)
	}
	v.WantEnd(proto.Declined)
	again := make(chan error, 1)
	who := sharetest.Visitor(sharetest.MayView)
	back := refused(t, r, who)
	go func() { again <- back }()
	if err := <-again; proto.CodeOf(err) != proto.Declined {
		t.Errorf("back again: got %v, want %v", err, proto.Declined)
	}
}

// refused returns why a viewer is refused.
func refused(t *testing.T, r *sharetest.Room, who share.Visitor) error {
	from, to := ioPipe(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermScreen}))
	return r.Serve(t.Context(), from, to, who)
}

// A viewer whose right was revoked is ignored, and stays connected.
func TestRevoke(t *testing.T) {
	t.Parallel()
	for _, one := range []bool{true, false} {
		in := new(typed)
		r := sharetest.NewRoom(t, share.Options{Input: in})
		v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
		v.TypeKeys("a")
		eventually(t, "a key", func() bool { return in.String() == "a" })
		number := 0
		if one {
			number = 1
		}
		if err := r.Revoke(number); err != nil {
			t.Fatal(err)
		}
		v.TypeKeys("b")
		v.Wait("a notice", func() bool { return len(v.Notices) == 1 })
		again := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
		if again.Session.Rights != "tty:view" {
			t.Errorf("one %v: who comes again may %s", one, again.Session.Rights)
		}
		other := r.View(share.Visitor{ID: "mk1other", Caps: sharetest.MayType}, wire.TermOpen{Mode: wire.TermScreen})
		if got := other.Session.Rights == "tty:view,tty:control"; got != one {
			t.Errorf("one %v: another one may %s", one, other.Session.Rights)
		}
		r.Output([]byte("x"))
		v.Wait("output", func() bool { return v.Screen.Text()[0] == "x" })
		if got := in.String(); got != "a" {
			t.Errorf("got %q, want a", got)
		}
	}
}

// If the command ends during a pause, viewers get the end at the position that they
// have reached.
func TestExitDuringPause(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{})
	viewers := []*sharetest.Viewer{
		r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen}),
		r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermRaw}),
	}
	r.Output([]byte("before"))
	for _, v := range viewers {
		v.Wait("before", func() bool { return v.Screen.Text()[0] == "before" })
	}
	r.Pause(true)
	r.Output([]byte("secret"))
	viewers = append(viewers, r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen}))
	for _, v := range viewers {
		v.Wait("the pause", func() bool { return v.Ctl.Paused })
	}
	r.Exit(3, 0)
	for i, v := range viewers {
		v.WantEnd(proto.OK)
		if v.Exit == nil || *v.Exit != (wire.TermExit{Seq: v.Seq, Code: 3}) || strings.Contains(v.Screen.Text()[0], "secret") {
			t.Errorf("viewer %d: got %+v at %d, and %q", i, v.Exit, v.Seq, v.Screen.Text()[0])
		}
	}
}

// No viewer gets what is printed during a pause, except what is on the screen at its
// end: neither from the history, nor from the scrollback.
func TestPause(t *testing.T) {
	t.Parallel()
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{Input: in})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	raw := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermRaw})
	r.Output([]byte("before\r\n"))
	v.Wait("before", func() bool { return v.Screen.Text()[0] == "before" })
	raw.Wait("before", func() bool { return string(raw.Raw) == "before\r\n" })
	r.Pause(true)
	v.Wait("the pause", func() bool { return v.Ctl.Paused })
	r.Output([]byte("secret\x1b["))
	r.Output([]byte("m" + strings.Repeat("\r\nfiller", 50)))
	v.TypeKeys("x")
	late := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen, Scrollback: 100})
	late.Wait("the pause", func() bool { return late.Ctl.Paused })
	r.Output([]byte("\r\n\x1b[2J\x1b[Hafter\x1b["))
	r.Pause(false)
	r.Output([]byte("m!"))
	later := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen, Scrollback: 100})
	history := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermRaw, History: true})
	for name, v := range map[string]*sharetest.Viewer{"v": v, "late": late, "later": later} {
		v.Wait("after", func() bool { return v.Screen.Text()[0] == "after!" })
		v.Lock()
		if all := string(v.Screen.Snapshot(vt.MaxScrollback)); strings.Contains(all, "secret") {
			t.Errorf("%s: got %q", name, all)
		}
		v.Unlock()
	}
	raw.Wait("after", func() bool { return raw.Snapshots == 1 && raw.Screen.Text()[0] == "after!" })
	history.Wait("after", func() bool { return strings.HasSuffix(string(history.Raw), "m!") })
	for _, v := range []*sharetest.Viewer{raw, history} {
		v.Lock()
		if strings.Contains(string(v.Raw), "secret") {
			t.Errorf("got %q", v.Raw)
		}
		v.Unlock()
	}
	if got := in.String(); got != "" {
		t.Errorf("%q was typed during the pause", got)
	}
}

// A snapshot that is due when a pause begins is not sent, not even if the pause is over
// before that.
func TestPauseBeforeSnapshot(t *testing.T) {
	t.Parallel()
	s := share.New(share.Options{Cols: 80, Rows: 24})
	for _, tt := range []struct {
		what   string
		paused bool
	}{{"before", false}, {"secret", true}, {"after", false}} {
		s.Pause(tt.paused)
		s.Output([]byte("\x1b[2J\x1b[H" + tt.what))
		got, err := share.Painted(s, sharetest.Visitor(sharetest.MayView))
		if err != nil || strings.Contains(string(got), tt.what) == tt.paused {
			t.Errorf("%s, paused %v: got %q, %v", tt.what, tt.paused, got, err)
		}
	}
}

// The socket replies to valid requests.
func TestControl(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{Input: new(typed)})
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { r.Control(ctx, l) })
	defer wg.Wait()
	defer cancel()
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen, Name: "me\x1b[31m", Cols: 90, Rows: 20})
	reply, err := share.Ask(ctx, path, share.Request{Do: "list"})
	if err != nil || len(reply.Viewers) != 1 {
		t.Fatalf("got %+v (%v)", reply, err)
	}
	if got := reply.Viewers[0]; got.Name != "alice" || got.Rights != "tty:view,tty:control" || got.Cols != 90 || got.Mode != "screen" {
		t.Errorf("got %+v", got)
	}
	for do, want := range map[string]proto.Code{"kick": proto.Usage, "dance": proto.Usage, "mark": 0, "pause": 0, "resume": 0, "revoke": 0} {
		if _, err := share.Ask(ctx, path, share.Request{Do: do}); proto.CodeOf(err) != want {
			t.Errorf("%s: got %v, want %v", do, err, want)
		}
	}
	if _, err := share.Ask(ctx, path, share.Request{Do: "kick", Who: "alice"}); err != nil {
		t.Error(err)
	}
	v.WantEnd(proto.Declined)
	for _, bad := range []string{"", "\n", "{}\n", "[]\n", strings.Repeat("x", 10000) + "\n"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(bad))
		_ = conn.(*net.UnixConn).CloseWrite()
		var b bytes.Buffer
		_, _ = b.ReadFrom(conn)
		conn.Close()
	}
	cancel()
	wg.Wait()
	if _, err := share.Ask(t.Context(), path, share.Request{Do: "list"}); proto.CodeOf(err) != proto.Unreachable {
		t.Errorf("after the end: got %v", err)
	}
}

// The audit has who did what, and never what was typed.
func TestAudit(t *testing.T) {
	t.Parallel()
	var b safeBuffer
	r := sharetest.NewRoom(t, share.Options{Input: new(typed), Audit: share.NewAudit(&b)})
	v := r.View(share.Visitor{ID: "mk1key", Addr: "192.0.2.9:1", Caps: sharetest.MayType}, wire.TermOpen{Mode: wire.TermScreen, Name: "eve\n\x1b[2J"})
	v.TypeKeys("hunter2\r")
	v.Wait("typed", func() bool { return v.Ctl.Typed == 8 })
	v.Leave()
	v.WantEnd(proto.OK)
	r.Exit(3, 0)
	var events []string
	for line := range strings.Lines(b.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, e["event"].(string))
		if e["event"] == "typed" && (e["bytes"] != 8.0 || e["peer_id"] != "mk1key") {
			t.Errorf("got %q", line)
		}
		if p, _ := e["peer"].(string); strings.ContainsAny(p, "\n\x1b") {
			t.Errorf("got peer %q", p)
		}
	}
	if got, want := strings.Join(events, " "), "join typed leave exit"; got != want {
		t.Errorf("got events %q, want %q", got, want)
	}
	if strings.Contains(b.String(), "hunter2") {
		t.Errorf("got %q", b.String())
	}
}

// Each line that somebody types is one event; of a hidden line it has no length. Lines
// that come faster than anybody types are one event together.
func TestAuditLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b safeBuffer
		var hides atomic.Bool
		in := new(typed)
		r := sharetest.NewRoom(t, share.Options{Input: in, Hides: hides.Load, Audit: share.NewAudit(&b)})
		line := func(keys string, pause time.Duration) {
			for _, k := range keys {
				r.Type([]byte(string(k)))
				synctest.Wait()
			}
			<-time.After(pause)
		}
		line("make\r", 3*time.Second)
		line("ls\n", 200*time.Millisecond)
		hides.Store(true)
		line("secret\r", time.Second)
		hides.Store(false)
		line("no end", 20*time.Second)
		for range 100 {
			line("y\r", time.Millisecond)
		}
		line("q\r", time.Second)
		r.Exit(0, 0)
		var got []string
		total := 0
		for line := range strings.Lines(b.String()) {
			var e struct {
				Event  string
				Bytes  int
				Hidden bool
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e.Event == "typed" {
				got = append(got, fmt.Sprint(e.Bytes, e.Hidden))
				total += e.Bytes
			}
		}
		if want := []string{"5 false", "3 false", "0 true", "6 false", "2 false"}; len(got) != 6 || !slices.Equal(got[:5], want) || total != 5+3+6+202 {
			t.Errorf("got %q of %d bytes, want %q and one more of %d in all", got, total, want, 5+3+6+202)
		}
	})
}

// Events of viewers are in the audit with node id and address.
func TestAuditNames(t *testing.T) {
	t.Parallel()
	var b safeBuffer
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{Input: in, Size: share.SizeWriter, Audit: share.NewAudit(&b)})
	v := r.View(share.Visitor{ID: "mk1key", Addr: "192.0.2.9:1", Caps: sharetest.MayView}, wire.TermOpen{Mode: wire.TermScreen, Cols: 90, Rows: 30})
	v.Ask()
	v.Wait("to have asked", func() bool { return v.Ctl.Ask })
	for _, err := range []error{r.Grant(1), nil, r.Revoke(1), r.Grant(1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	v.TypeKeys("x")
	eventually(t, "a key", func() bool { return in.String() == "x" })
	if err := r.Kick(1); err != nil {
		t.Fatal(err)
	}
	v.WantEnd(proto.Declined)
	eventually(t, "the end", func() bool { return strings.Contains(b.String(), `"leave"`) })
	var got []string
	for line := range strings.Lines(b.String()) {
		var e struct {
			Event, Addr string
			PeerID      string `json:"peer_id"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.PeerID != "mk1key" || e.Addr != "192.0.2.9:1" {
			t.Errorf("%s: %v", line, err)
		}
		got = append(got, e.Event)
	}
	if got, want := strings.Join(got, " "), "join ask grant revoke grant resize typed kick leave"; got != want {
		t.Errorf("got events %q, want %q", got, want)
	}
}

// fullFile fails until there is room.
type fullFile struct {
	safeBuffer
	room atomic.Bool
}

func (f *fullFile) Write(p []byte) (int, error) {
	if !f.room.Load() {
		return 0, proto.Errorf(proto.Space, "no room")
	}
	return f.safeBuffer.Write(p)
}

// A full disk does not end the session: the sharer is told at once, the gap is marked,
// and reported at the end.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	var audit, record fullFile
	record.room.Store(true)
	c, err := cast.NewWriter(&record, cast.Header{Cols: 80, Rows: 24, Start: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	told, status := make(chan error, 10), make(chan share.Status, 1000)
	r := sharetest.NewRoom(t, share.Options{
		Audit: share.NewAudit(&audit), Record: c, Gap: func(err error) { told <- err },
		Changed: func(s share.Status) { status <- s },
	})
	record.room.Store(false)
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	r.Output([]byte("lost"))
	v.Wait("output", func() bool { return v.Screen.Text()[0] == "lost" })
	if err := <-told; proto.CodeOf(err) != proto.Space {
		t.Errorf("told of %v", err)
	}
	for s := range status {
		if s.Gap {
			break
		}
	}
	record.room.Store(true)
	audit.room.Store(true)
	r.Output([]byte("kept"))
	v.Leave()
	v.WantEnd(proto.OK)
	for s := range status {
		if !s.Gap {
			break
		}
	}
	if got := record.String(); !strings.Contains(got, "4 bytes were lost here") || !strings.HasSuffix(got, "\"kept\"]\n") {
		t.Errorf("recorded %s", got)
	}
	if got := audit.String(); !strings.Contains(got, `"event":"gap","lost":1}`) || !strings.Contains(got, `"event":"leave"`) {
		t.Errorf("audited %s", got)
	}
	if err := r.Recorded(); proto.CodeOf(err) != proto.Space || len(told) != 0 {
		t.Errorf("got %v in the end, told %d times more", err, len(told))
	}
}

// A paste that is not marked as one is not interrupted by another viewer's keys, though
// its frames come slowly; if no more come, the other one may type.
func TestSlowPaste(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("p", proto.MaxTermInBytes)
	for _, tt := range []struct {
		name  string
		sent  []string
		pause time.Duration // before each but the first
		want  string        // with x, which another viewer types after the first
	}{
		{"it goes on", []string{full, full, "end"}, 11 * time.Second, full + full + "end" + "x"},
		{"it goes on after a short frame", []string{full + "part", full + "end"}, 1900 * time.Millisecond, full + "part" + full + "end" + "x"},
		{"it has ended", []string{full + "end", "later"}, 2100 * time.Millisecond, full + "end" + "x" + "later"},
		{"it stops", []string{full, "later"}, 13 * time.Second, full + "x" + "later"},
		{"keys", []string{"abc", "def"}, time.Second, "abcxdef"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				in := new(typed)
				r := sharetest.NewRoom(t, share.Options{Input: in})
				v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
				other := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
				for i, s := range tt.sent {
					if i > 0 {
						<-time.After(tt.pause)
					}
					for ; len(s) > proto.MaxTermInBytes; s = s[proto.MaxTermInBytes:] {
						v.TypeKeys(s[:proto.MaxTermInBytes])
					}
					v.TypeKeys(s)
					synctest.Wait()
					if i == 0 {
						other.TypeKeys("x")
					}
				}
				<-time.After(10 * time.Second)
				if got := in.String(); got != tt.want {
					t.Errorf("got %q, want %q", strings.ReplaceAll(got, full, "<full>"), strings.ReplaceAll(tt.want, full, "<full>"))
				}
				v.Leave()
				other.Leave()
			})
		})
	}
}
