package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mesh/proto"
)

// Digest is a BLAKE3 digest of 256 bits; in JSON, 64 hexadecimal digits.
type Digest [32]byte

// TransferID names the transfers of both directions of a link; in JSON, 32
// hexadecimal digits. Package handshake derives it.
type TransferID [proto.TransferIDBytes]byte

// The methods of a P2P_HELLO: the kind of credential that the proof is made with.
const (
	MethodToken      = "token"      // a session token; Token is its id
	MethodCapability = "capability" // a signed capability; Token is its claims
	MethodKey        = "key"        // the dialer's node key alone; Token is empty
	MethodResume     = "resume"     // a transfer whose link broke; Token is the transfer's id
	MethodFlow       = "flow"       // one more link for a transfer; Token is the transfer's id
)

// Hello is P2P_HELLO.
type Hello struct {
	Version int    `json:"version"`
	Method  string `json:"method"`
	Token   []byte `json:"token,omitempty"`
	Want    string `json:"want"`           // capabilities, as [proto.Caps] prints them
	Kind    string `json:"kind,omitempty"` // [KindFiles], [KindTake], [KindTTY], [KindPair], or nothing for pipes
	// Name is under which an inbox is to store a pipe that begins; "" for none, and to
	// listeners of a minor version below 4.
	Name   string `json:"name,omitempty"`
	Window int64  `json:"window"` // bytes that the dialer can hold for its consumer
	// Try numbers the P2P_HELLOs of one transfer that ask for another primary link, from 1
	// on; with [MethodFlow] it is that of the primary link. 0 to listeners of a minor
	// version below 2.
	Try   uint32 `json:"try,omitempty"`
	Nonce []byte `json:"nonce"`
	Proof []byte `json:"proof"`
}

// OKMessage is P2P_OK.
type OKMessage struct {
	Granted  string     `json:"granted"` // the part of Want that the dialer may do
	Window   int64      `json:"window"`
	Transfer TransferID `json:"transfer"`
	Nonce    []byte     `json:"nonce"`
	Proof    []byte     `json:"proof"`
}

// The classes of a P2P_DENY. An unauthenticated dialer is sent [ClassDenied] or
// [ClassVersion] only.
const (
	ClassDenied     = "denied"
	ClassBusy       = "busy"
	ClassVersion    = "version"    // of the P2P_HELLO
	ClassCapability = "capability" // authenticated, but not allowed to do this
	ClassKind       = "kind"       // authenticated, but such transfers are not accepted
	ClassPath       = "path"       // authenticated, but not over this path; to dialers of minor version 2
)

// Deny is P2P_DENY.
type Deny struct {
	Class string `json:"class"`
}

// The kinds of transfers.
const (
	// KindPipe is a stream of bytes without a name or a size.
	KindPipe = "pipe"
	// KindFiles is a transfer in each direction: frames with files and folders, and
	// the receiver's answers to them.
	KindFiles = "files"
	// KindTake is KindFiles from the listener to the dialer, which first says with
	// FILES_TAKE what it wants.
	KindTake = "take"
	// KindTTY is a transfer in each direction: frames with a shared terminal's
	// output, and the viewer's input.
	KindTTY = "tty"
	// KindPair is a transfer in each direction: frames by which two nodes agree to know
	// each other.
	KindPair = "pair"
	// KindPing is no transfer: a P2P_HELLO of this kind asks whether the listener would
	// admit the dialer. The listener answers [ClassKind] if so, before a token is used.
	KindPing = "ping"
)

// Meta is FILE_META, which begins a transfer.
type Meta struct {
	Transfer TransferID `json:"transfer"`
	Kind     string     `json:"kind"`
}

// Resume is FILE_RESUME, a receiver's first message on a link that resumes a
// transfer.
type Resume struct {
	Transfer TransferID `json:"transfer"`
	Bytes    int64      `json:"bytes"` // received so far: the offset to continue from
}

// Done is FILE_DONE, which announces the end of a transfer's data.
type Done struct {
	Transfer TransferID `json:"transfer"`
	Bytes    int64      `json:"bytes"`
	Digest   Digest     `json:"blake3"`
	// Status is the producer's exit status, 0 to 255. If it is not 0, the data must
	// not be trusted.
	Status int `json:"status"`
}

// Ack is FILE_ACK.
type Ack struct {
	Transfer TransferID `json:"transfer"`
	Bytes    int64      `json:"bytes"` // taken by the consumer so far
	// Final ends the transfer. After FILE_DONE it means that the data is stored, or
	// that the consumer has taken it all; before, that the consumer takes no more.
	// Digest is the digest of the first Bytes bytes.
	Final  bool    `json:"final,omitempty"`
	Digest *Digest `json:"blake3,omitempty"`
}

// Message is any message with a JSON body.
type Message interface {
	Type() Type
	// check returns an error if a value is out of its range.
	check() error
}

// Type implements [Message].
func (*Hello) Type() Type { return TypeHello }

// Type implements [Message].
func (*OKMessage) Type() Type { return TypeOK }

// Type implements [Message].
func (*Deny) Type() Type { return TypeDeny }

// Type implements [Message].
func (*Meta) Type() Type { return TypeMeta }

// Type implements [Message].
func (*Resume) Type() Type { return TypeResume }

// Type implements [Message].
func (*Done) Type() Type { return TypeDone }

// Type implements [Message].
func (*Ack) Type() Type { return TypeAck }

// kindWants has the capabilities that may be wanted with each kind. Any may be wanted
// with [KindPing].
var kindWants = map[string][]string{
	KindFiles: {proto.CapSend.String(), proto.CapRecv.String()},
	KindTake:  {proto.CapRecv.String()},
	KindPair:  {proto.CapSend.String()},
	KindTTY:   {proto.CapTTYView.String(), (proto.CapTTYView | proto.CapTTYControl).String()},
}

func (m *Hello) check() error {
	switch {
	case !slices.Contains([]string{MethodToken, MethodCapability, MethodKey, MethodResume, MethodFlow}, m.Method):
		return fmt.Errorf("unknown method")
	case (m.Method == MethodKey) != (len(m.Token) == 0):
		return fmt.Errorf("the token does not fit the method")
	case m.Try != 0 && m.Method != MethodResume && m.Method != MethodFlow:
		return fmt.Errorf("a try of a transfer that begins")
	case m.Name != "" && (m.Kind != "" || m.Method == MethodResume || m.Method == MethodFlow):
		return fmt.Errorf("a name of what is no pipe that begins")
	case len(m.Name) > proto.MaxNameBytes || strings.ContainsRune(m.Name, 0):
		return fmt.Errorf("a name that no file can have")
	}
	if wants := kindWants[m.Kind]; m.Kind != "" && m.Kind != KindPing && !slices.Contains(wants, m.Want) {
		return fmt.Errorf("the kind of transfer does not fit the wanted capabilities")
	}
	return checkOffer(m.Want, m.Window, m.Nonce, m.Proof)
}

func (m *OKMessage) check() error { return checkOffer(m.Granted, m.Window, m.Nonce, m.Proof) }

func checkOffer(capabilities string, window int64, nonce, proof []byte) error {
	caps, err := proto.ParseCaps(capabilities)
	switch {
	case err != nil:
		return err
	case caps.String() != capabilities:
		return fmt.Errorf("capabilities out of order")
	case window < proto.MinWindowBytes || window > proto.MaxWindowBytes:
		return fmt.Errorf("window of %d bytes", window)
	case len(nonce) != proto.NonceBytes:
		return fmt.Errorf("nonce of %d bytes", len(nonce))
	case len(proof) != proto.ProofBytes:
		return fmt.Errorf("proof of %d bytes", len(proof))
	}
	return nil
}

func (m *Deny) check() error {
	if !slices.Contains([]string{ClassDenied, ClassBusy, ClassVersion, ClassCapability, ClassKind, ClassPath}, m.Class) {
		return fmt.Errorf("unknown class")
	}
	return nil
}

func (m *Meta) check() error {
	if kinds := []string{KindPipe, KindFiles, KindTake, KindTTY, KindPair}; !slices.Contains(kinds, m.Kind) {
		return fmt.Errorf("unknown kind of transfer")
	}
	return nil
}

func (m *Resume) check() error {
	if m.Bytes < 0 {
		return fmt.Errorf("negative count")
	}
	return nil
}

func (m *Done) check() error {
	if m.Bytes < 0 {
		return fmt.Errorf("negative count")
	}
	if m.Status < 0 || m.Status > 255 {
		return fmt.Errorf("exit status out of range")
	}
	return nil
}

func (m *Ack) check() error {
	if m.Bytes < 0 {
		return fmt.Errorf("negative count")
	}
	if m.Final != (m.Digest != nil) {
		return fmt.Errorf("digest without final, or final without digest")
	}
	return nil
}

// AppendBody appends m's body to dst. It panics if a value of m is out of its
// range, since no peer would accept the message.
func AppendBody(dst []byte, m Message) []byte {
	if err := m.check(); err != nil {
		panic(fmt.Sprintf("wire: internal error: %s: %v", m.Type(), err))
	}
	b := bytes.NewBuffer(dst)
	if err := encode(b, m); err != nil {
		panic(fmt.Sprintf("wire: internal error: %s: %v", m.Type(), err))
	}
	return b.Bytes()
}

// AppendFrame appends the whole frame of m to dst. Like [AppendBody] it panics.
func AppendFrame(dst []byte, m Message) []byte {
	at := len(dst)
	dst = AppendBody(AppendHeader(dst, Header{Type: m.Type()}), m)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-proto.FrameHeaderBytes))
	return dst
}

// ParseBody decodes a body into m, which must be zero. The body must be exactly what
// [AppendBody] makes of m: unknown, repeated or reordered fields, white space, and
// anything after the object are errors.
func ParseBody(body []byte, m Message) error {
	again := bytes.NewBuffer(make([]byte, 0, len(body)+1))
	if e, ok := m.(*Entry); ok {
		e.parseFast(string(body))
		if e.check() == nil && e.appendFast(again) && bytes.Equal(again.Bytes(), body) {
			return nil
		}
		*e = Entry{}
		again.Reset()
	}
	if err := json.Unmarshal(body, m); err != nil {
		return malformed("%s: not a JSON object of this type", m.Type())
	}
	decodePaths(m)
	if err := m.check(); err != nil {
		return malformed("%s: %w", m.Type(), err)
	}
	if err := encode(again, m); err != nil || !bytes.Equal(again.Bytes(), body) {
		return malformed("%s: not in its one valid form", m.Type())
	}
	return nil
}

// encode appends the JSON of m to b.
func encode(b *bytes.Buffer, m Message) error {
	if e, ok := m.(*Entry); ok && e.appendFast(b) {
		return nil
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(encodePaths(m)); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line feed that Encode appends
	return nil
}

// String returns d as 64 lower-case hexadecimal digits, as b3sum prints it.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// ParseDigest reads what [Digest.String] returns, and nothing else.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) {
		return Digest{}, fmt.Errorf("digest of %d characters, want %d", len(s), hex.EncodedLen(len(d)))
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Digest{}, fmt.Errorf("digest: character %d is no lower-case hexadecimal digit", i+1)
		}
	}
	_, err := hex.Decode(d[:], []byte(s))
	return d, err
}

// UnmarshalText implements [encoding.TextUnmarshaler] as [ParseDigest] does. An
// error leaves d as it was.
func (d *Digest) UnmarshalText(text []byte) error {
	v, err := ParseDigest(string(text))
	if err == nil {
		*d = v
	}
	return err
}

// String returns the hexadecimal text.
func (id TransferID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (id TransferID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *TransferID) UnmarshalText(text []byte) error { return unhex(id[:], text) }

func unhex(dst, text []byte) error {
	if len(text) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("%d digits, want %d", len(text), hex.EncodedLen(len(dst)))
	}
	_, err := hex.Decode(dst, text)
	return err
}
