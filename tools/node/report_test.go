package node_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// Both sides of a transfer report the same peer, transfer, bytes, digest and path.
func TestReports(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ via, path string }{{proto.ViaTCP, "lan tcp4"}, {proto.ViaQUIC, "lan udp4"}} {
		receipts := func(o *node.Options) { o.Via.Transport, o.Receipts = tt.via, true }
		listener, dialer := newNode(t, receipts), newNode(t, receipts)
		w := listener.wait(t, oneToken())
		var got bytes.Buffer
		ended := make(chan error, 1) // sent once
		go func() {
			l, err := w.Accept(t.Context())
			if err == nil {
				err = listener.Exchange(t.Context(), l, &pipe.Source{Reader: strings.NewReader("")}, &pipe.Sink{Writer: &got})
			}
			ended <- err
		}()
		l, err := dialer.Dial(t.Context(), listener.peer(t, 0, dialer), send)
		if err != nil {
			t.Fatal(err)
		}
		env := dialer.Party(l).Env()
		for _, want := range []string{"MESH_VIA=" + tt.via, "MESH_PATH=" + tt.path, "MESH_PEER_ID=" + listener.Key.ID().String(), "MESH_PEER_NAME="} {
			if !slices.Contains(env, want) {
				t.Errorf("%s: got %q, want %s in it", tt.via, env, want)
			}
		}
		if err := dialer.Exchange(t.Context(), l, &pipe.Source{Reader: strings.NewReader("some words")}, &pipe.Sink{Writer: io.Discard}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil || got.String() != "some words" {
			t.Fatalf("got %q, %v", got.String(), err)
		}
		out := receipt(t, dialer, "sent")
		in := receipt(t, listener, "received")
		for _, field := range []string{"transfer", "via", "path", "bytes", "blake3", "status"} {
			if out[field] != in[field] || out[field] == nil {
				t.Errorf("%s: got %s %v and %v, want the same", tt.via, field, out[field], in[field])
			}
		}
		if out["path"] != tt.path || out["via"] != tt.via || out["bytes"] != 10. || out["peer_id"] != listener.Key.ID().String() {
			t.Errorf("%s: got %v", tt.via, out)
		}
		line := regexp.MustCompile(`(?m)^mesh-test: sent 10 bytes to mk1\S+ in \d+\.\d s, (\d+ bytes/s, )?` + tt.path + `, blake3 [0-9a-f]{64}$`)
		if !line.MatchString(dialer.stderr.String()) {
			t.Errorf("%s: got %q on standard error", tt.via, dialer.stderr.String())
		}
	}
}

// receipt returns the event of one direction.
func receipt(t *testing.T, n *testNode, direction string) map[string]any {
	t.Helper()
	for _, e := range n.events.events(t, "receipt") {
		if e["direction"] == direction {
			return e
		}
	}
	t.Fatalf("got no receipt of what was %s in %s", direction, n.events.String())
	return nil
}

func TestStoredFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sum  files.Summary
		want string
	}{
		{files.Summary{}, "received 0 files, 0 bytes from bob in 0.0 s, direct udp4 with 3 flows, blake3 "},
		{files.Summary{Files: 1, Bytes: 7}, "received 1 file, 7 bytes"},
		{files.Summary{Skipped: 1}, "received 0 files (1 more already there), 0 bytes"},
		{files.Summary{Files: 2, Skipped: 1, Bytes: 7}, "received 2 files (1 more already there), 7 bytes"},
		{files.Summary{Files: 2, Skipped: 3, Bytes: 7}, "received 2 files (3 more already there), 7 bytes"},
	} {
		n := newNode(t, func(o *node.Options) { o.Receipts = true })
		p := node.Party{ID: xtest.NewKey(t).ID(), Name: "bob", Via: "quic", Path: "direct udp4"}
		n.Follow(p, new(pipe.Counters), nil, nil)(&pipe.Receipt{Bytes: 180, Via: "tcp", Flows: 3}, &tt.sum)
		if got := n.stderr.String(); !strings.Contains(got, tt.want) {
			t.Errorf("got %q, want %q in it", got, tt.want)
		}
		e := receipt(t, n, "received")
		if e["files"] != float64(tt.sum.Files) || e["skipped"] != float64(tt.sum.Skipped) || e["path"] != "direct udp4" || e["flows"] != 3. || e["bytes"] != 180. {
			t.Errorf("got %v", e)
		}
	}
}

// A receipt names all paths if there were several, the last one first.
func TestReceiptPaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		paths []pipe.PathBytes
		want  string
	}{
		{nil, " in 0.0 s, lan tcp4, blake3 "},
		{[]pipe.PathBytes{{Path: "relay tcp hub.example:443", Bytes: 7e6}, {Path: "lan tcp4", Bytes: 2e6}}, " in 0.0 s, lan tcp4 after 7.0 MB over relay tcp hub.example:443, blake3 "},
		{
			[]pipe.PathBytes{{Path: "relay tcp hub.example:443", Bytes: 7e6}, {Path: "lan tcp4", Bytes: 1e6}, {Path: "punched udp4", Bytes: 1e6}},
			", lan tcp4 after 7.0 MB over relay tcp hub.example:443, 1.0 MB over punched udp4, blake3 ",
		},
	} {
		n := newNode(t, func(o *node.Options) { o.Receipts = true })
		p := node.Party{ID: xtest.NewKey(t).ID(), Name: "bob", Via: "tcp", Path: "relay tcp hub.example:443"}
		n.Follow(p, new(pipe.Counters), nil, nil)(&pipe.Receipt{Bytes: 9e6, Path: "lan tcp4", Paths: tt.paths}, nil)
		if got := n.stderr.String(); !strings.Contains(got, tt.want) {
			t.Errorf("got %q, want %q in it", got, tt.want)
		}
		e := receipt(t, n, "received")
		list, _ := e["paths"].([]any)
		if len(list) != len(tt.paths) || e["path"] != "lan tcp4" {
			t.Errorf("got %v, want %d paths", e, len(tt.paths))
		}
		for i, got := range list {
			if p := got.(map[string]any); p["path"] != tt.paths[i].Path || p["bytes"] != float64(tt.paths[i].Bytes) {
				t.Errorf("path %d: got %v, want %v", i, got, tt.paths[i])
			}
		}
	}
}

// A receipt says how fast a relay is at most, next to the path through it.
func TestReceiptLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limit uint64
		paths []pipe.PathBytes
		want  string
	}{
		{0, nil, " in 0.0 s, relay tcp hub.example:443, blake3 "},
		{10e6, nil, ", relay tcp hub.example:443 (at most 10 MB/s), blake3 "},
		{1 << 10, []pipe.PathBytes{{Path: "lan tcp4", Bytes: 7e6}, {Path: "relay tcp hub.example:443", Bytes: 1}}, ", relay tcp hub.example:443 (at most 1.0 kB/s) after 7.0 MB over lan tcp4, "},
		{math.MaxUint64, nil, " (at most 9.2 EB/s), "}, // what a hub may say
	} {
		n := newNode(t, func(o *node.Options) { o.Receipts = true })
		p := node.Party{ID: xtest.NewKey(t).ID(), Name: "bob", Via: "tcp"}
		n.Follow(p, new(pipe.Counters), nil, nil)(&pipe.Receipt{Bytes: 9e6, Path: "relay tcp hub.example:443", MaxBPS: tt.limit, Paths: tt.paths}, nil)
		if got := n.stderr.String(); !strings.Contains(got, tt.want) {
			t.Errorf("limit %d: got %q, want %q in it", tt.limit, got, tt.want)
		}
		got, is := receipt(t, n, "received")["max_bps"]
		if is != (tt.limit > 0) || is && got != float64(tt.limit) {
			t.Errorf("limit %d: got the event's max_bps %v", tt.limit, got)
		}
	}
}

// The time in which a person is asked is not part of a receipt. The next transfer has its
// own.
func TestAwait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		n := node.New(node.Options{Name: "mesh-test", Key: xtest.NewKey(t), State: t.TempDir(), Stderr: &out, Receipts: true})
		for _, tt := range []struct {
			asks time.Duration
			want string
		}{
			{30 * time.Second, " in 2.0 s, 1.0 MB/s,"},
			{0, " in 32.0 s, 62 kB/s,"},
			{40 * time.Second, " in 0.0 s, "}, // more than the whole transfer
		} {
			answered := n.Await()
			<-time.After(tt.asks)
			answered()
			before := len(out.String())
			n.Follow(node.Party{Name: "bob"}, new(pipe.Counters), nil, nil)(&pipe.Receipt{Bytes: 9e6, Elapsed: 32 * time.Second}, &files.Summary{Files: 1, Bytes: 2e6})
			if got := out.String()[before:]; !strings.Contains(got, tt.want) {
				t.Errorf("asked for %v: got %q, want %q in it", tt.asks, got, tt.want)
			}
		}
	})
}

// failing fails once it has written a line.
type failing struct{ lines int }

var errFull = errors.New("no room")

// Write implements [io.Writer].
func (f *failing) Write(p []byte) (int, error) {
	if f.lines++; f.lines > 1 {
		return 0, errFull
	}
	return len(p), nil
}

// Close implements [io.Closer].
func (f *failing) Close() error { return nil }

// Close returns the tool's error, or the first error in writing events.
func TestClose(t *testing.T) {
	t.Parallel()
	own := proto.Errorf(proto.Busy, "full")
	for _, tt := range []struct {
		err    error
		events io.WriteCloser
		code   proto.Code
	}{
		{nil, new(buffer), proto.OK},
		{own, new(buffer), proto.Busy},
		{nil, &failing{lines: 1}, proto.IO},
		{own, &failing{lines: 1}, proto.Busy},
		{nil, nil, proto.OK},
	} {
		n := node.New(node.Options{Key: xtest.NewKey(t), State: t.TempDir(), Events: tt.events})
		xtest.WantCode(t, "Close", n.Close(tt.err), tt.code)
		if b, ok := tt.events.(*buffer); ok {
			e := b.events(t, "end")
			if len(e) != 1 || e[0]["code"] != float64(tt.code) || e[0]["name"] != tt.code.String() {
				t.Errorf("got %v, want one end with %v", e, tt.code)
			}
		}
	}
}
