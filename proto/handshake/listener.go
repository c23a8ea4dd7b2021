package handshake

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// Guard answers a listener's questions about credentials, as [token.Registry]
// does.
type Guard interface {
	// Find returns what is known about a credential that dialer has named but not
	// yet proven to have. See [token.Registry.Find].
	Find(h *wire.Hello, dialer identity.ID) (token.Admission, error)
	// CheckAccess returns why a dialer that was admitted must be disconnected, or
	// nil. See [token.Registry.CheckAccess].
	CheckAccess(dialer identity.ID, id *token.ID, granted proto.Caps) error
}

// Listener is the listener's side of any number of handshakes. Its fields are set
// before the first one and its functions may be called from several goroutines.
type Listener struct {
	Guard Guard
	// Offer is the set of capabilities that can be granted.
	Offer proto.Caps
	// Takes reports whether a kind of transfer is accepted. If it is nil, pipes
	// are, and nothing else.
	Takes func(kind string) bool
	// TakesNamed accepts pipes with a name, also where Takes accepts no pipes.
	TakesNamed bool
	// WrongPath, if it is set, is the path of the dialer's connection, which this node does
	// not allow. Minor is the minor version that the dialer speaks.
	WrongPath string
	Minor     int
	// Resume returns the admission to a transfer that dialer wants to resume or to
	// open another flow for, or an error with code [proto.Denied].
	Resume func(transfer []byte, dialer identity.ID) (token.Admission, error)
	// Late, if it is set, reports whether a transfer has had a link of a higher
	// [wire.Hello.Try]: the dialer has given this connection up.
	Late func(transfer []byte, try uint32) bool
	// Window is the window that the listener announces, in bytes.
	Window int64
	// BeginWindow, if it is set, returns the window of a transfer that begins instead,
	// and takes it from a budget; ReturnWindow gives that back. ResumeWindow returns
	// the window that a transfer began with.
	BeginWindow  func() int64
	ReturnWindow func(window int64)
	ResumeWindow func(transfer []byte) int64
	// Reserve takes a place for the dialer and reports false if there is none. It is
	// called after the proof is verified, so that an unauthenticated peer can't
	// tell. The receiver of the verdict gives the place back with Release.
	Reserve func(dialer identity.ID) bool
	Release func(dialer identity.ID)
}

// Verdict is a listener's answer to one P2P_HELLO.
type Verdict struct {
	// Answer is the message to send.
	Answer wire.Message
	// Err is nil for P2P_OK. Else it says why the dialer is refused, and its code
	// is the one to close with. It is for the listener's own log: it may say more
	// than the peer may learn.
	Err error
	// Fault, if set, is what failed here: no decision about the dialer was made. For
	// example, a file of the registry can't be read.
	Fault error

	// The rest is set for P2P_OK only.
	Granted  proto.Caps
	Kind     string
	Window   int64 // the dialer's
	Own      int64 // the listener's window, as announced
	Transfer wire.TransferID
	Token    *token.ID // nil for an authorised key
	// Secret resumes a transfer that begins here; nil if the transfer began on an
	// earlier link.
	Secret []byte
	// Flow reports that the link is a further flow of a transfer that has a link.
	Flow bool
	// Name is that of the P2P_HELLO. Nobody has checked what the peer may name.
	Name string
	// Try is that of the P2P_HELLO.
	Try uint32
}

// Answer checks the body of a P2P_HELLO and returns the answer to send.
func (l *Listener) Answer(b Binding, body []byte) Verdict {
	v, err := l.check(b, body)
	if err == nil {
		return v
	}
	class, ok := classOf(err)
	if !ok { // not the dialer's fault: it may come again
		return Verdict{Answer: &wire.Deny{Class: wire.ClassBusy}, Err: proto.Errorf(proto.Busy, "%w", err), Fault: err}
	}
	return Verdict{Answer: &wire.Deny{Class: class}, Err: err}
}

// classOf returns the class of a refusal; ok is false for a failure of this node.
func classOf(err error) (class string, ok bool) {
	if errors.Is(err, ErrPath) {
		return wire.ClassPath, true
	}
	switch proto.CodeOf(err) {
	case proto.Busy:
		return wire.ClassBusy, true
	case proto.Capability:
		return wire.ClassCapability, true
	case proto.Version:
		return wire.ClassVersion, true
	case proto.Declined:
		return wire.ClassKind, true
	case proto.Denied, proto.Protocol:
		return wire.ClassDenied, true
	}
	return "", false
}

// check makes the checks in the order of mesh-protocol(7). Up to the proof they
// tell the peer nothing about the credential; after it they go from those that
// can never succeed to those that may succeed later.
func (l *Listener) check(b Binding, body []byte) (Verdict, error) {
	var h wire.Hello
	if err := wire.ParseBody(body, &h); err != nil {
		return Verdict{}, err
	}
	if h.Version != proto.HelloVersion {
		return Verdict{}, proto.Errorf(proto.Version, "the peer speaks version %d, this listener %d", h.Version, proto.HelloVersion)
	}
	found, err := l.verify(b, &h)
	if err != nil {
		return Verdict{}, err
	}
	var v Verdict
	switch h.Method {
	case wire.MethodResume, wire.MethodFlow:
		if err := l.checkPath(&h); err != nil {
			return Verdict{}, err
		}
		if l.Late != nil && l.Late(h.Token, h.Try) {
			return Verdict{}, errLate
		}
		v, err = l.accept(b, found, found.Caps, body, wire.TransferID(h.Token), l.resumeWindow(h.Token))
		v.Flow = h.Method == wire.MethodFlow
	default:
		v, err = l.begin(b, found, &h, body)
	}
	v.Window, v.Kind, v.Name, v.Try = h.Window, kindOf(&h), h.Name, h.Try
	return v, err
}

var errLate = proto.Errorf(proto.Busy, "the transfer has gone on over a later connection")

func kindOf(h *wire.Hello) string { return cmp.Or(h.Kind, wire.KindPipe) }

// verify finds the credential of a P2P_HELLO and verifies the proof.
func (l *Listener) verify(b Binding, h *wire.Hello) (token.Admission, error) {
	var found token.Admission
	var err error
	switch h.Method {
	case wire.MethodResume, wire.MethodFlow:
		found, err = l.Resume(h.Token, b.Dialer)
	default:
		found, err = l.Guard.Find(h, b.Dialer)
	}
	if err != nil {
		return found, err
	}
	proof, err := b.helloProof(found.Secret, *h)
	if err != nil {
		return found, err
	}
	if !hmac.Equal(proof, h.Proof) {
		return found, proto.Errorf(proto.Denied, "wrong proof")
	}
	return found, nil
}

// begin admits an authenticated dialer whose transfer begins here.
func (l *Listener) begin(b Binding, found token.Admission, h *wire.Hello, body []byte) (Verdict, error) {
	want, err := proto.ParseCaps(h.Want)
	if err != nil {
		return Verdict{}, err
	}
	granted := want & found.Caps & l.Offer
	if granted == 0 {
		return Verdict{}, proto.Errorf(proto.Capability, "the peer wants %s and may %s; %s is offered", want, found.Caps, l.Offer)
	}
	if err := l.checkPath(h); err != nil {
		return Verdict{}, err
	}
	if h.Kind == wire.KindPing {
		return Verdict{}, pinged(found)
	}
	if kind := kindOf(h); !l.accepts(kind) && (h.Name == "" || !l.TakesNamed) {
		return Verdict{}, proto.Errorf(proto.Declined, "transfers of kind %s are not accepted", kind)
	}
	if found.Claim != nil { // before the place: a peer that can never get in must not be told to try again
		if err := found.Claim(); err != nil {
			return Verdict{}, err
		}
	}
	if !l.Reserve(b.Dialer) {
		return Verdict{}, proto.Errorf(proto.Busy, "no place for another peer")
	}
	window := l.Window
	if l.BeginWindow != nil {
		window = l.BeginWindow()
	}
	v, err := l.acceptFirst(b, found, granted, body, window)
	if err != nil {
		l.Release(b.Dialer)
		if l.ReturnWindow != nil {
			l.ReturnWindow(window)
		}
		return Verdict{}, err
	}
	return v, nil
}

// checkPath refuses a dialer that has come over a path that is not allowed here. A
// dialer of a version without the class path gets the class capability, or the class busy
// for a transfer that goes on.
func (l *Listener) checkPath(h *wire.Hello) error {
	switch resumes := h.Method == wire.MethodResume || h.Method == wire.MethodFlow; {
	case l.WrongPath == "":
		return nil
	case l.Minor >= 2:
		return fmt.Errorf("%w (%s)", ErrPath, l.WrongPath)
	case resumes:
		return proto.Errorf(proto.Busy, "no link over this path (%s)", l.WrongPath)
	}
	return proto.Errorf(proto.Capability, "no link over this path (%s)", l.WrongPath)
}

// pinged returns the refusal of a ping, which begins nothing: that of the kind, for a dialer
// that would be admitted with a kind that is accepted.
func pinged(found token.Admission) error {
	if found.Claimable != nil {
		if err := found.Claimable(); err != nil {
			return err
		}
	}
	return proto.Errorf(proto.Declined, "it only asks whether it would be admitted")
}

// acceptFirst makes the P2P_OK of a transfer's first link.
func (l *Listener) acceptFirst(b Binding, found token.Admission, granted proto.Caps, hello []byte, window int64) (Verdict, error) {
	transfer, err := b.Transfer(found.Secret)
	if err != nil {
		return Verdict{}, err
	}
	v, err := l.accept(b, found, granted, hello, transfer, window)
	if err != nil {
		return Verdict{}, err
	}
	v.Secret, err = b.ResumeSecret(found.Secret)
	return v, err
}

func (l *Listener) resumeWindow(transfer []byte) int64 {
	if l.ResumeWindow == nil {
		return l.Window
	}
	return l.ResumeWindow(transfer)
}

func (l *Listener) accepts(kind string) bool {
	if l.Takes == nil {
		return kind == wire.KindPipe
	}
	return l.Takes(kind)
}

// accept makes the P2P_OK.
func (l *Listener) accept(b Binding, found token.Admission, granted proto.Caps, hello []byte, transfer wire.TransferID, window int64) (Verdict, error) {
	ok := wire.OKMessage{Granted: granted.String(), Window: window, Transfer: transfer, Nonce: make([]byte, proto.NonceBytes)}
	if _, err := rand.Read(ok.Nonce); err != nil {
		return Verdict{}, err
	}
	var err error
	ok.Proof, err = b.okProof(found.Secret, hello, ok)
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{Answer: &ok, Own: window, Granted: granted, Transfer: ok.Transfer, Token: found.Token}, nil
}
