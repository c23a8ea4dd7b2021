package hub_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// Each limit of a field holds at n, and refuses n + 1.
func TestFieldLimits(t *testing.T) {
	t.Parallel()
	good := all(t)
	sig := bytes.Repeat([]byte{1}, hub.SignatureBytes)
	hello := func(change func(*hub.Hello)) hub.Data { return changed(good, hub.TypeHello, change) }
	request := func(change func(*hub.Request)) hub.Data { return changed(good, hub.TypeRequest, change) }
	text := func(n int) string { return strings.Repeat("x", n) }
	peers := func(n int) []hub.RoomPeer { return slicesRepeat(hub.RoomPeer{Node: identity.ID{1}}, n) }
	for what, tt := range map[string]struct {
		n    int
		data func(n int) hub.Data
	}{
		"agent":           {hub.MaxAgentBytes, func(n int) hub.Data { return hello(func(h *hub.Hello) { h.Agent = text(n) }) }},
		"names":           {hub.MaxNames, func(n int) hub.Data { return hello(func(h *hub.Hello) { h.Register = make([]hub.Register, n) }) }},
		"vouchers":        {hub.MaxVouchers, func(n int) hub.Data { return hello(func(h *hub.Hello) { h.Vouchers = make([]string, n) }) }},
		"voucher":         {hub.MaxVoucherBytes, func(n int) hub.Data { return hello(func(h *hub.Hello) { h.Vouchers = []string{text(n)} }) }},
		"name":            {hub.MaxTextBytes, func(n int) hub.Data { return &hub.Register{Name: text(n)} }},
		"peer":            {hub.MaxTextBytes, func(n int) hub.Data { return &hub.Lookup{Peer: text(n)} }},
		"room":            {hub.MaxTextBytes, func(n int) hub.Data { return &hub.RoomJoin{Room: text(n)} }},
		"reason":          {hub.MaxTextBytes, func(n int) hub.Data { return &hub.Closed{Session: hub.NewID(), Reason: text(n)} }},
		"text":            {hub.MaxTextBytes, func(n int) hub.Data { return &hub.Error{Code: "x", Text: text(n)} }},
		"nodes of a page": {hub.MaxRoomPage, func(n int) hub.Data { return &hub.RoomPeers{Peers: peers(n)} }},
		"answer_s":        {int(hub.MaxAnswer.Seconds()), func(n int) hub.Data { return request(func(r *hub.Request) { r.AnswerS = uint32(n) }) }},
		"seal":            {hub.SealKeyBytes, func(n int) hub.Data { return request(func(r *hub.Request) { r.Seal = make([]byte, n) }) }},
		"token": {2 << 10, func(n int) hub.Data {
			return request(func(r *hub.Request) {
				r.Bearer = &hub.Bearer{Method: hub.MethodKnown, Token: make([]byte, n), MAC: sig[:32]}
			})
		}},
		"sealed":     {hub.MaxSealedBytes, func(n int) hub.Data { return &hub.Accept{Session: hub.NewID(), Sealed: make([]byte, n), Sig: sig} }},
		"candidates": {hub.MaxSealedBytes, func(n int) hub.Data { return &hub.Candidates{Session: hub.NewID(), Gen: 1, Sealed: make([]byte, n)} }},
		"done": {hub.MaxSealedBytes, func(n int) hub.Data {
			return &hub.CodeDone{Box: hub.NewID(), Tag: sig[:32], Sealed: make([]byte, n), Sig: sig}
		}},
		"relays": {hub.MaxRelays, func(n int) hub.Data {
			return changed(good, hub.TypeCreated, func(c *hub.Created) { c.Relay = slicesRepeat(hub.Relay{URL: "tcp://h:1"}, n) })
		}},
		"STUN servers": {hub.MaxRelays, func(n int) hub.Data { return &hub.Welcome{Observed: "x", STUN: slicesRepeat("192.0.2.1:3478", n)} }},
		"hubs":         {hub.MaxRelays, func(n int) hub.Data { return &hub.GoAway{Hubs: make([]string, n)} }},
		"plate":        {hub.MaxPlate, func(n int) hub.Data { return &hub.CodeClaim{Plate: uint32(n)} }},
	} {
		if _, err := hub.New("p2p.x", tt.data(tt.n)); err != nil {
			t.Errorf("%s of %d: got %v", what, tt.n, err)
		}
		if _, err := hub.New("p2p.x", tt.data(tt.n+1)); err == nil {
			t.Errorf("%s of %d is taken", what, tt.n+1)
		}
	}
}

// What reading an event takes is a small multiple of its length, whatever it says: no number in
// it is a length, and a list of more elements than any event has is not read. The test measures
// memory, so it runs alone.
func TestReadMemory(t *testing.T) {
	fill := func(before, one, after string) []byte {
		n := (hub.MaxEventBytes - len(before) - len(after)) / len(one)
		return []byte(before + strings.TrimSuffix(strings.Repeat(one, n), ",") + after)
	}
	const most = 32 // bytes of memory for each byte of the event
	for what, tt := range map[string]struct {
		text []byte
		into func() hub.Data
	}{
		"vouchers":    {fill(`{"type":"p2p.session.request","data":{"vouchers":[`, `"",`, `]}}`), func() hub.Data { return new(hub.Request) }},
		"names":       {fill(`{"type":"system.hello","data":{"register":[`, `{},`, `]}}`), func() hub.Data { return new(hub.Hello) }},
		"long names":  {fill(`{"type":"system.hello","data":{"register":[`, `{"kinds":[]},   `, `{}]}}`), func() hub.Data { return new(hub.Hello) }},
		"long nodes":  {fill(`{"type":"room.peers","data":{"peers":[`, `{"kinds":[]},   `, `{}]}}`), func() hub.Data { return new(hub.RoomPeers) }},
		"nodes":       {fill(`{"type":"room.peers","data":{"peers":[`, `{},`, `]}}`), func() hub.Data { return new(hub.RoomPeers) }},
		"relays":      {fill(`{"type":"p2p.session.created","data":{"relay":[`, `{},`, `]}}`), func() hub.Data { return new(hub.Created) }},
		"limits":      {fill(`{"type":"system.welcome","data":{"limits":{`, `"a":1,`, `}}}`), func() hub.Data { return new(hub.Welcome) }},
		"deep":        {bytes.Repeat([]byte(`{"a":`), hub.MaxEventBytes/5), func() hub.Data { return new(hub.Request) }},
		"wide":        {fill(`{"type":"p2p.x","a":[`, `[],`, `]}`), func() hub.Data { return new(hub.Request) }},
		"a number":    {fill(`{"type":"system.error","data":{"retry_after":1`, `0`, `}}`), func() hub.Data { return new(hub.Error) }},
		"an exponent": {[]byte(`{"type":"system.error","data":{"retry_after":1e999999999}}`), func() hub.Data { return new(hub.Error) }},
		"escapes":     {fill(`{"type":"system.lookup","data":{"peer":"`, `\u0000`, `"}}`), func() hub.Data { return new(hub.Lookup) }},
	} {
		if len(tt.text) > hub.MaxEventBytes {
			t.Fatalf("%s: an event of %d bytes", what, len(tt.text))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e, err := hub.Decode(tt.text, hub.MaxEventBytes)
		if err == nil {
			err = e.Read(tt.into())
		}
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: is taken", what)
		}
		got := after.TotalAlloc - before.TotalAlloc
		if limit := most * uint64(hub.MaxEventBytes); got > limit {
			t.Errorf("%s: reading %d bytes takes %d KiB of memory (%v), want at most %d", what, len(tt.text), got>>10, err, limit>>10)
		}
	}
}

// An event has one element for each 16 bytes of its limit.
func TestEventElements(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{hub.MaxHelloBytes, hub.MaxEventBytes} {
		for n, want := range map[int]bool{limit / 16: true, limit/16 + 1: false} {
			text := `{"type":"p2p.x","a":[1` + strings.Repeat(",1", n-1) + `]}`
			if _, err := hub.Decode([]byte(text), limit); (err == nil) != want {
				t.Errorf("%d elements in an event of up to %d bytes: got %v, want taken %v", n, limit, err, want)
			}
		}
	}
}
