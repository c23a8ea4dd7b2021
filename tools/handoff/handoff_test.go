package handoff_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
	"mesh/tools/handoff"
	"mesh/tools/node"
)

func open(t *testing.T) (*handoff.Queue, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mesh") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := handoff.Path(dir)
	d, err := handoff.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d, path
}

// next begins to wait for a delivery, and returns when it is in the queue.
func next(t *testing.T, path string, kinds ...string) <-chan *handoff.Delivery {
	t.Helper()
	got, there := make(chan *handoff.Delivery, 1), make(chan struct{})
	go func() {
		d, err := handoff.Next(t.Context(), path, kinds, func() { close(there) })
		if err != nil {
			t.Error(err)
		}
		got <- d
	}()
	<-there
	return got
}

// ended is the daemon's receipt, of a pipe that began over another path.
var ended = &pipe.Receipt{
	Via: "quic+tcp", Path: "relay tcp hub.example:443", MaxBPS: 10e6, Flows: 3,
	Paths: []pipe.PathBytes{{Path: "lan tcp4", Bytes: 1}, {Path: "relay tcp hub.example:443", Bytes: 2}},
}

// give sends a pipe with a text to the first consumer.
func give(t *testing.T, d *handoff.Queue, text string) error {
	t.Helper()
	consumer := d.Assign(t.Context(), wire.KindPipe, 1, node.Party{Name: "al", Via: "tcp"})
	if consumer == nil {
		t.Fatal("no consumer waits")
	}
	sink := consumer.Sink(func(error) {})
	_, err := io.WriteString(sink, text)
	if err == nil {
		err = sink.Finish(0)
	}
	consumer.End(ended, err)
	return err
}

func TestPipe(t *testing.T) {
	t.Parallel()
	queue, path := open(t)
	if _, err := handoff.Open(path, slog.New(slog.DiscardHandler)); proto.CodeOf(err) != proto.Busy {
		t.Errorf("a second daemon: got %v", err)
	}
	if queue.Accepts(wire.KindPipe) || queue.Assign(t.Context(), wire.KindPipe, 1, node.Party{}) != nil {
		t.Error("a consumer waits")
	}
	for _, size := range []int{0, 1, 256 << 10, 256<<10 + 1, 3 << 20} {
		text := strings.Repeat("x", size)
		waits := next(t, path, wire.KindPipe)
		if !queue.Accepts(wire.KindPipe) || queue.Accepts(wire.KindFiles) {
			t.Error("the queue accepts the wrong kinds")
		}
		got := make(chan string, 1)
		go func() {
			d := <-waits
			var b strings.Builder
			r, err := d.Pipe(t.Context(), &pipe.Sink{Writer: &b})
			if err != nil || r.Bytes != int64(size) || d.Party.Name != "al" {
				t.Errorf("got %+v (%v)", r, err)
			}
			if got := (&pipe.Receipt{Via: r.Via, Path: r.Path, MaxBPS: r.MaxBPS, Flows: r.Flows, Paths: r.Paths}); !reflect.DeepEqual(got, ended) {
				t.Errorf("got the receipt %+v, want what the daemon knows: %+v", got, ended)
			}
			got <- b.String()
		}()
		if err := give(t, queue, text); err != nil {
			t.Error(err)
		}
		if s := <-got; s != text {
			t.Errorf("got %d bytes, want %d", len(s), size)
		}
	}
}

// full is a sink that accepts nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, proto.Errorf(proto.Space, "full") }

// The daemon gets the error of the consumer, and the consumer that of the transfer.
func TestFailures(t *testing.T) {
	t.Parallel()
	queue, path := open(t)
	waits := next(t, path, wire.KindPipe)
	done := make(chan error, 1)
	go func() {
		_, err := (<-waits).Pipe(t.Context(), &pipe.Sink{Writer: full{}})
		done <- err
	}()
	xtest.WantCode(t, "the daemon", give(t, queue, "text"), proto.Space)
	xtest.WantCode(t, "the consumer", <-done, proto.Space)

	waits = next(t, path, wire.KindPipe)
	go func() {
		_, err := (<-waits).Pipe(t.Context(), &pipe.Sink{Writer: io.Discard})
		done <- err
	}()
	consumer := queue.Assign(t.Context(), wire.KindPipe, 1, node.Party{})
	consumer.Sink(func(error) {})
	consumer.End(nil, proto.Errorf(proto.Integrity, "digest mismatch"))
	xtest.WantCode(t, "the consumer of a damaged transfer", <-done, proto.Integrity)

	waits = next(t, path, wire.KindPipe)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(proto.Errorf(proto.Terminated, "ended"))
	go func() {
		_, err := (<-waits).Pipe(ctx, &pipe.Sink{Writer: io.Discard})
		done <- err
	}()
	xtest.WantCode(t, "the daemon of a consumer that ends", give(t, queue, strings.Repeat("x", 1<<20)), proto.Truncated)
	xtest.WantCode(t, "the consumer that ends", <-done, proto.Terminated)
	queue.Close()
	_, err := handoff.Next(t.Context(), path, []string{wire.KindPipe}, func() {})
	xtest.WantCode(t, "no daemon", err, proto.Unreachable)
}

// A connection that sends something wrong, or nothing, does not block the others.
func TestStrangers(t *testing.T) {
	t.Parallel()
	queue, path := open(t)
	frame := func(typ byte, body string) []byte {
		return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), typ), body...)
	}
	for _, sent := range [][]byte{
		nil, []byte("x"), frame('d', "data"), frame('w', "no JSON"),
		{0xff, 0xff, 0xff, 0xff, 'w'},
		append(frame('w', `{"kinds":["pipe"]}`), frame('d', "not ready")...),
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		if len(sent) == 1 || sent == nil {
			continue // it waits for more, for a while
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if rest, err := io.ReadAll(c); err != nil || len(rest) > 5 {
			t.Errorf("%q: got %q (%v), want it closed", sent, rest, err)
		}
	}
	waits := next(t, path, wire.KindPipe)
	go func() {
		if _, err := (<-waits).Pipe(t.Context(), &pipe.Sink{Writer: io.Discard}); err != nil {
			t.Error(err)
		}
	}()
	if err := give(t, queue, "text"); err != nil {
		t.Error(err)
	}
}

// FuzzFrames: frames have exactly the bytes that were sent, and none is too large.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02w{}\x00\x00\x00\x00r"))
	f.Add([]byte("\xff\xff\xff\xffd"))
	f.Add([]byte("\x00\x00\x00\x05dshor"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		var again []byte
		err := handoff.ReadFrames(bytes.NewReader(sent), func(typ wire.Type, body []byte) {
			if len(body) > handoff.MaxFrameBytes {
				t.Errorf("a frame of %d bytes", len(body))
			}
			again = append(append(binary.BigEndian.AppendUint32(again, uint32(len(body))), byte(typ)), body...)
		})
		if !bytes.HasPrefix(sent, again) || errors.Is(err, io.EOF) && len(again) != len(sent) {
			t.Errorf("got %q of %q (%v)", again, sent, err)
		}
	})
}
