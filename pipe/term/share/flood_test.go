package share_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto/wire"
)

// During a flood a viewer gets snapshots at even intervals, and hardly any output in
// between, which would delay them. It sees the end of the flood at once.
func TestFloodIsSeenInPictures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const frame = 16 * time.Millisecond // of the viewer
		s := share.New(share.Options{})
		from, says := io.Pipe()
		shown, to := io.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Serve(t.Context(), from, to, sharetest.Visitor(sharetest.MayView)) })
		var mu sync.Mutex
		seq := int64(-1)
		var pictures, output int
		var last time.Time // of the last picture
		var longest time.Duration
		wg.Go(func() {
			for {
				typ, body, err := wire.ReadFrame(shown, wire.TypeTermSession, wire.TypeTermOut, wire.TypeTermSnapshot, wire.TypeTermCtl, wire.TypeTermExit)
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Errorf("read: %v", err)
					}
					return
				}
				mu.Lock()
				switch typ {
				case wire.TypeTermOut:
					at, data, _ := wire.ParseTermOut(body)
					seq = at + int64(len(data))
					output += len(data)
				case wire.TypeTermSnapshot:
					m, _ := wire.ParseTermSnapshot(body)
					seq = m.Seq
					pictures++
					if pictures > 2 { // one for who comes, and one to begin with
						longest = max(longest, time.Since(last))
					}
					last = time.Now()
				}
				mu.Unlock()
			}
		})
		stop := make(chan struct{})
		wg.Go(func() { // acknowledges what it has painted
			defer says.Close()
			tick := time.NewTicker(frame)
			defer tick.Stop()
			for acked := int64(-1); ; {
				mu.Lock()
				painted := seq
				mu.Unlock()
				if painted > acked {
					acked = painted
					if _, err := says.Write(wire.AppendFrame(nil, &wire.TermAck{Seq: acked})); err != nil {
						return
					}
				}
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		})
		_, _ = says.Write(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermScreen}))
		block := []byte(strings.Repeat("y\r\n", 1365)) // 16 MB/s
		for range 4000 {
			s.Output(block)
			<-time.After(250 * time.Microsecond)
		}
		s.Output([]byte("end"))
		ended := time.Now()
		for end := int64(4000*len(block) + 3); ; {
			mu.Lock()
			there := seq == end
			mu.Unlock()
			if took := time.Since(ended); there || took > time.Second {
				if took > 2*frame {
					t.Errorf("the end was sent after %s, want at most %s", took, 2*frame)
				}
				break
			}
			<-time.After(time.Millisecond)
		}
		mu.Lock()
		if pictures < 50 || longest > 2*frame || output > 500_000 {
			t.Errorf("got %d pictures, at most %s apart, and %d bytes of output; want at least 50, at most %s, at most 500000", pictures, longest, output, 2*frame)
		}
		mu.Unlock()
		close(stop)
		wg.Wait()
	})
}
