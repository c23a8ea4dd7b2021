package hub

import (
	"testing"

	"mesh/proto/identity"
)

// benchRequest returns the text of a request as a dialer sends it.
func benchRequest(b *testing.B) []byte {
	b.Helper()
	k, err := identity.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	r := &Request{Session: NewID(), To: k.ID().String(), Kind: KindPipe, Want: "send", Seal: NewNonce(SealKeyBytes)}
	r.Sign(k, k.ID())
	e, err := New(TypeRequest, r)
	if err != nil {
		b.Fatal(err)
	}
	e.ID = "17"
	text, err := e.Encode()
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// BenchmarkDecode reads a request, as the hub does for each session.
func BenchmarkDecode(b *testing.B) {
	text := benchRequest(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		e, err := Decode(text, MaxEventBytes)
		if err != nil {
			b.Fatal(err)
		}
		var r Request
		if err := e.Read(&r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncode writes the offer of a request, as the hub does for each session.
func BenchmarkEncode(b *testing.B) {
	var r Request
	e, err := Decode(benchRequest(b), MaxEventBytes)
	if err == nil {
		err = e.Read(&r)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		e, err := New(TypeOffer, &Offer{Request: r})
		if err != nil {
			b.Fatal(err)
		}
		e.From, e.Name = identity.ID{1}, "laptop"
		if _, err := e.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}
