//go:build unix

package files_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/xtest"
)

// The link breaks in the middle of a transfer, in either direction. The transfer goes
// on by itself, and no file is lost or sent again.
func TestBrokenLink(t *testing.T) {
	t.Parallel()
	for _, tcp := range []bool{false, true} {
		for _, pull := range []bool{false, true} {
			for _, at := range []int{1, 100 << 10, 600 << 10, 900 << 10} {
				t.Run(fmt.Sprintf("tcp %t, pull %t, %d", tcp, pull, at), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						broken(t, &linktest.Net{Latency: 10 * time.Millisecond, TCP: tcp}, pull, at)
					})
				})
			}
		}
	}
}

// broken cuts the network for a while after at bytes.
func broken(t *testing.T, n *linktest.Net, pull bool, at int) {
	from, to := filepath.Join(t.TempDir(), "tree"), t.TempDir()
	for i := range 60 {
		write(t, filepath.Join(from, fmt.Sprint("d", i%7), fmt.Sprint(i)), xtest.Random(i*300))
	}
	write(t, filepath.Join(from, "large"), xtest.Random(700<<10))
	sending, receiving := n.Pair(t, proto.CapSend|proto.CapRecv)
	if pull {
		receiving, sending = sending, receiving
	}
	options := pipe.Options{ResumeFor: time.Minute}
	var sent, received files.Summary
	var recvErr error
	root, done := openRoot(t, to), make(chan struct{})
	go func() {
		defer close(done)
		source, sink, wait := files.Join(t.Context(), true, func(ctx context.Context, in io.Reader, out io.Writer) (err error) {
			received, err = files.Receive(ctx, root, in, out, files.ReceiveOptions{})
			return err
		})
		_, err := pipe.Exchange(t.Context(), receiving, source, sink, options)
		recvErr = wait(err)
	}()
	cut := false
	source, sink, wait := files.Join(t.Context(), false, func(ctx context.Context, in io.Reader, out io.Writer) (err error) {
		sent, err = files.Send(ctx, []string{from}, in, &hook{out, at, func() {
			cut = true
			n.Cut()
			time.AfterFunc(15*time.Second, n.Heal)
		}}, files.SendOptions{})
		return err
	})
	begun := time.Now()
	_, err := pipe.Exchange(t.Context(), sending, source, sink, options)
	xtest.WantCode(t, "sender", wait(err), proto.OK)
	<-done
	xtest.WantCode(t, "receiver", recvErr, proto.OK)
	if took := time.Since(begun); !cut || took < 15*time.Second {
		t.Errorf("it took %v, cut: %t", took, cut)
	}
	if sent != received || sent.Files != 61 || sent.Skipped != 0 {
		t.Errorf("got %+v and %+v, want 61 files", sent, received)
	}
	wantSame(t, list(t, filepath.Join(to, "tree")), list(t, from))
}
