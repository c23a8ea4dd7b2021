package hub_test

import (
	"bytes"
	"testing"

	"mesh/proto/hub"
)

// dataOf returns an empty data of the type.
func dataOf(typ string) hub.Data {
	switch typ {
	case hub.TypeHello:
		return new(hub.Hello)
	case hub.TypeWelcome:
		return new(hub.Welcome)
	case hub.TypeRequest:
		return new(hub.Request)
	case hub.TypeOffer:
		return new(hub.Offer)
	case hub.TypeCreated:
		return new(hub.Created)
	case hub.TypeRoomJoin:
		return new(hub.RoomJoin)
	case hub.TypeRoomPeers:
		return new(hub.RoomPeers)
	case hub.TypeRoomJoined, hub.TypeRoomLeft:
		return new(hub.RoomChange)
	case hub.TypeCodeOpen:
		return new(hub.CodeOpen)
	case hub.TypeCodeClaimed:
		return new(hub.CodeClaimed)
	case hub.TypeCodeConfirm:
		return new(hub.CodeConfirm)
	case hub.TypeCodeDone:
		return new(hub.CodeDone)
	}
	return new(hub.Candidates)
}

// What is read can be written, and is then read as the same.
func FuzzEvent(f *testing.F) {
	for typ, data := range all(f) {
		e, err := hub.New(typ, data)
		if err != nil {
			f.Fatal(err)
		}
		text, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := hub.Decode(text, hub.MaxEventBytes)
		if err != nil {
			return
		}
		data := dataOf(e.Type)
		if e.Read(data) != nil {
			return
		}
		again, err := hub.New(e.Type, data)
		if err != nil {
			t.Fatalf("read, but not written: %v", err)
		}
		back := dataOf(e.Type)
		if err := again.Read(back); err != nil {
			t.Fatalf("written, but not read: %v", err)
		}
		third, err := hub.New(e.Type, back)
		if err != nil || !bytes.Equal(third.Data, again.Data) {
			t.Fatalf("got %s, %v; want %s", third.Data, err, again.Data)
		}
	})
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"wss://hub.example", "ws://localhost:80/x", "wss://[::1]#,proxy", "wss://a#mk1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := hub.ParseURL(text)
		if err != nil {
			return
		}
		if again, err := hub.ParseURL(u.String()); err == nil && again != u {
			t.Fatalf("%q: got %+v, want %+v", text, again, u)
		}
	})
}

func FuzzInvite(f *testing.F) {
	for _, i := range []hub.Invite{newInvite(f, "wss://hub.example/x"), newChain(f).vouched(f, "bob")} {
		text, err := i.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i, err := hub.ParseInvite(text)
		if err != nil {
			return
		}
		if again, err := i.Encode(); err != nil || again != text {
			t.Fatalf("got %q, %v; want %q", again, err, text)
		}
	})
}

func FuzzVoucher(f *testing.F) {
	c := newChain(f)
	for _, v := range []hub.Voucher{c.vouch(f, hub.VoucherName, "bob"), c.vouch(f, hub.VoucherAdmit, ""), c.handedOn(f)} {
		text, err := v.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := hub.ParseVoucher(text)
		if err != nil {
			return
		}
		if again, err := v.Encode(); err != nil || again != text {
			t.Fatalf("got %q, %v; want %q", again, err, text)
		}
	})
}
