package hub

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"mesh/proto/identity"
)

// The types of events. The comment at each type of data says who sends which.
const (
	TypeChallenge  = "system.challenge"
	TypeHello      = "system.hello"
	TypeWelcome    = "system.welcome"
	TypeRegister   = "system.register"
	TypeRegistered = "system.registered"
	TypeRelease    = "system.release"
	TypeLookup     = "system.lookup"
	TypePeer       = "system.peer"
	TypeWatch      = "system.watch"
	TypeOnline     = "system.online"
	TypeToken      = "system.token"
	TypeGoAway     = "system.goaway"
	TypeOK         = "system.ok"
	TypeError      = "system.error"

	TypeRoomJoin   = "room.join"
	TypeRoomLeave  = "room.leave"
	TypeRoomPeers  = "room.peers" // asks, and answers
	TypeRoomJoined = "room.joined"
	TypeRoomLeft   = "room.left"

	TypeRequest    = "p2p.session.request"
	TypeOffer      = "p2p.session.offer"
	TypePending    = "p2p.session.pending"
	TypeAccept     = "p2p.session.accept"
	TypeDecline    = "p2p.session.decline"
	TypeCreated    = "p2p.session.created"
	TypeDeclined   = "p2p.session.declined"
	TypeCancel     = "p2p.session.cancel"
	TypeCancelled  = "p2p.session.cancelled"
	TypeCandidates = "p2p.session.candidates"
	TypeClosed     = "p2p.session.closed"

	TypeCodeOpen    = "p2p.code.open"
	TypeCodeOpened  = "p2p.code.opened"
	TypeCodeClaim   = "p2p.code.claim"
	TypeCodeClaimed = "p2p.code.claimed"
	TypeCodeFreed   = "p2p.code.freed"
	TypeCodeConfirm = "p2p.code.confirm"
	TypeCodeDone    = "p2p.code.done"
	TypeCodeBurn    = "p2p.code.burn"
)

// Event is the envelope of a message. A client sets Type, ID and Data; a hub sets Ref
// in an answer, and From and Name in an event that another node caused.
type Event struct {
	Type string         `json:"type"`
	ID   string         `json:"id,omitzero"`
	Ref  string         `json:"ref,omitzero"`
	From identity.ID    `json:"from,omitzero"`
	Name string         `json:"name,omitzero"`
	Data jsontext.Value `json:"data,omitzero"`

	// encoded is whether Data is the encoder's own output, which needs no second check.
	encoded bool
}

// ErrTooLarge is the reason to refuse an event that is longer than its limit, or has a sealed
// field that is.
var ErrTooLarge = errors.New("event too large")

// maxEnvelopeBytes is enough for an envelope without its data and its name.
const maxEnvelopeBytes = 256

// Data is the data of an event: a pointer to one of the structs of this package.
type Data interface {
	// check returns an error unless each field has its form and its length.
	check() error
}

// Decode reads an envelope of at most limit bytes. It keeps data as it is; [Event.Read]
// reads that. The event shares no memory with text.
func Decode(text []byte, limit int) (Event, error) {
	var e Event
	if len(text) > limit {
		return e, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(text), limit)
	}
	switch deep, commas := measure(text, MaxDepth); {
	case deep:
		return e, fmt.Errorf("event: objects are nested more than %d deep", MaxDepth)
	case commas > limit/elementBytes:
		return e, fmt.Errorf("event: it has %d elements, the limit is %d", commas, limit/elementBytes)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return Event{}, fmt.Errorf("event: %w", shape(err))
	}
	if !isType(e.Type) {
		return Event{}, errors.New("event: its type is not lower-case words with dots between")
	}
	if !isID(e.ID) || !isID(e.Ref) {
		return Event{}, fmt.Errorf("event: an id is up to %d letters, digits, - and _", MaxIDBytes)
	}
	if len(e.Name) > MaxTextBytes {
		return Event{}, fmt.Errorf("event: name of %d bytes, the limit is %d", len(e.Name), MaxTextBytes)
	}
	return e, nil
}

// Read reads the event's data. An absent data is an empty object.
func (e Event) Read(into Data) error {
	data := e.Data
	if len(data) == 0 {
		data = jsontext.Value("{}")
	}
	if data.Kind() != '{' {
		return fmt.Errorf("%s: its data is no object", e.Type)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", e.Type, shape(err))
	}
	if err := into.check(); err != nil {
		return fmt.Errorf("%s: %w", e.Type, err)
	}
	return nil
}

// New returns an event with data, which may be nil. The data must pass its own check:
// else the error says which field is wrong. The caller must not change the event's Data.
func New(typ string, data Data) (Event, error) {
	e := Event{Type: typ}
	if data == nil {
		return e, nil
	}
	if err := data.check(); err != nil {
		return e, fmt.Errorf("%s: %w", typ, err)
	}
	text, err := json.Marshal(data)
	if err != nil {
		return e, fmt.Errorf("%s: %w", typ, err)
	}
	e.Data, e.encoded = text, true
	return e, nil
}

// Encode returns the text of an event. It fails if the text is longer than
// [MaxEventBytes].
func (e Event) Encode() ([]byte, error) { return e.Append(nil) }

// Append is Encode, but appends the text to b and returns the longer slice.
func (e Event) Append(b []byte) ([]byte, error) {
	before := len(b)
	b, err := e.appendEnvelope(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Type, err)
	}
	if n := len(b) - before; n > MaxEventBytes {
		return nil, fmt.Errorf("%s: %w: %d bytes, the limit is %d", e.Type, ErrTooLarge, n, MaxEventBytes)
	}
	return b, nil
}

// appendEnvelope writes what [json.Marshal] would. Only data that this package has not
// encoded itself is left to that.
func (e Event) appendEnvelope(b []byte) ([]byte, error) {
	if len(e.Data) > 0 && !e.encoded {
		text, err := json.Marshal(e)
		return append(b, text...), err
	}
	b = slices.Grow(b, len(e.Data)+len(e.Name)+maxEnvelopeBytes)
	b, err := jsontext.AppendQuote(append(b, `{"type":`...), e.Type)
	for _, member := range [...]struct{ name, value string }{{`,"id":`, e.ID}, {`,"ref":`, e.Ref}, {`,"from":`, e.from()}, {`,"name":`, e.Name}} {
		if member.value != "" && err == nil {
			b, err = jsontext.AppendQuote(append(b, member.name...), member.value)
		}
	}
	if len(e.Data) > 0 {
		b = append(append(b, `,"data":`...), e.Data...)
	}
	return append(b, '}'), err
}

func (e Event) from() string {
	if e.From == (identity.ID{}) {
		return ""
	}
	return e.From.String()
}

// Prefix returns the first word of the event's type: system, room or p2p.
func (e Event) Prefix() string {
	prefix, _, _ := strings.Cut(e.Type, ".")
	return prefix
}

// elementBytes is the length of an event's limit for each element that it may have: a list of
// empty objects takes much more memory than its text.
const elementBytes = 16

// deeper reports whether objects and arrays in text are nested deeper than limit. Text
// that is no JSON gets any answer.
func deeper(text []byte, limit int) bool {
	deep, _ := measure(text, limit)
	return deep
}

// measure is deeper, and counts the commas between elements if it is not.
func measure(text []byte, limit int) (deep bool, commas int) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = closingQuote(text, i+1)
		case '{', '[':
			if depth++; depth > limit {
				return true, 0
			}
		case '}', ']':
			depth--
		case ',':
			commas++
		}
	}
	return false, commas
}

// closingQuote returns where the string ends whose first character is at i; that is
// len(text) if it has no end.
func closingQuote(text []byte, i int) int {
	for quote := -1; ; {
		if quote < i {
			n := bytes.IndexByte(text[min(i, len(text)):], '"')
			if n < 0 {
				return len(text)
			}
			quote = i + n
		}
		escape := bytes.IndexByte(text[i:quote], '\\')
		if escape < 0 {
			return quote
		}
		i += escape + 2 // the escaped character may be a quote
	}
}

// shape makes the decoder's error one that repeats nothing of the text: a message may
// contain secrets.
func shape(err error) error {
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d", s.ByteOffset)
	}
	if s, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Errorf("byte %d has a value of another form", s.ByteOffset)
	}
	return errors.New("not a valid object")
}

func isType(s string) bool {
	return s != "" && len(s) <= MaxTextBytes && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_.") == "" &&
		strings.Contains(s, ".") && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..")
}

// isID accepts an absent id too.
func isID(s string) bool {
	return len(s) <= MaxIDBytes && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

func checkText(what, s string, limit int) error {
	if len(s) > limit || !utf8.ValidString(s) {
		return fmt.Errorf("%s of %d bytes, the limit is %d bytes of UTF-8", what, len(s), limit)
	}
	return nil
}
