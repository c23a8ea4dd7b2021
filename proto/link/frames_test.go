package link_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// badFrames are first frames that break the protocol.
func badFrames() map[string][]byte {
	header := func(length uint32, typ wire.Type, body ...byte) []byte {
		return append(append(binary.BigEndian.AppendUint32(nil, length), byte(typ)), body...)
	}
	whole := func(typ wire.Type, body []byte) []byte { return header(uint32(len(body)), typ, body...) }
	return map[string][]byte{
		"4 GiB":            header(0xffffffff, wire.TypeHello),
		"4 GiB chunk":      header(0xffffffff, wire.TypeChunk),
		"unknown type":     whole(0x7f, []byte("{}")),
		"chunk first":      whole(wire.TypeChunk, make([]byte, proto.ChunkHeaderBytes+100)),
		"ok first":         whole(wire.TypeOK, []byte("{}")),
		"garbage":          whole(wire.TypeHello, []byte("\x00\xff{[garbage")),
		"deep JSON":        whole(wire.TypeHello, bytes.Repeat([]byte("["), proto.MaxHandshakeFrameBytes)),
		"empty":            whole(wire.TypeHello, nil),
		"4 KiB and 1":      whole(wire.TypeHello, bytes.Repeat([]byte(" "), proto.MaxHandshakeFrameBytes+1)),
		"4 KiB and no end": header(proto.MaxHandshakeFrameBytes, wire.TypeHello, '{'),
	}
}

// The test is not parallel, because it measures allocations.
func TestBadFirstFrame(t *testing.T) {
	for name, frame := range badFrames() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				conn := dialRaw(t, n, s, tlsConf(certificate(t, xtest.NewKey(t))))
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				stream, err := conn.OpenStreamSync(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Write(frame); err != nil {
					t.Fatal(err)
				}
				want := []proto.Code{proto.Protocol, proto.Denied}
				if name == "4 KiB and no end" {
					want = []proto.Code{proto.Timeout}
				}
				wantClosed(t, conn, proto.HelloTimeout+time.Second, want...)
				runtime.ReadMemStats(&after)
				if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
					t.Errorf("allocated %d bytes, want less than 8 MiB", got)
				}
				s.acceptNone(t)
			})
		})
	}
}

// The same from a listener: the dialer breaks off too.
func TestBadFirstAnswer(t *testing.T) {
	t.Parallel()
	answers := badFrames()
	delete(answers, "4 KiB and no end")
	answers["4 KiB and 1 of P2P_DENY"] = append([]byte{0, 0, 0x10, 1, byte(wire.TypeDeny)}, make([]byte, 4097)...)
	answers["strange class"] = append([]byte{0, 0, 0, 16, byte(wire.TypeDeny)}, `{"class":"okay"}`...)
	for name, frame := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				key := xtest.NewKey(t)
				served := make(chan struct{})
				addr := serveRaw(t, n, tlsConf(certificate(t, key)), func(ctx context.Context, conn *quic.Conn) {
					defer close(served)
					stream, err := conn.AcceptStream(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = stream.Write(frame)
					wantClosed(t, conn, proto.HelloTimeout, proto.Protocol)
				})
				e, _ := n.Endpoint(t)
				_, err := e.Dial(t.Context(), link.Target{ID: key.ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend})
				xtest.WantCode(t, "dial", err, proto.Protocol)
				<-served // before the network ends, which may lose the close
			})
		})
	}
}
