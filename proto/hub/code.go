package hub

import (
	"log/slog"
	"strconv"
	"strings"

	"github.com/xrash/smetrics"

	"mesh/proto"
)

const (
	// CodeWordCount is how many words a code has: one of 2^31 combinations.
	CodeWordCount = 3
	// MaxPlate is the highest plate of a code.
	MaxPlate = 999999
)

// Code is what one person reads to another one, so that their nodes meet:
// "7-guitar-croissant-lunchbox", or with the host of the hub
// "7-guitar-croissant-lunchbox@hub.example". The hub knows the plate; the words are the
// secret of the two nodes. It prints as its plate; [Code.Encode] returns its text.
type Code struct {
	Plate uint32
	// Words are in lower case, with dashes between.
	Words string
	// Host is HOST or HOST:PORT of the hub; it may be "".
	Host string
}

// NewCode returns a code with random words.
func NewCode(plate uint32, host string) Code {
	return Code{Plate: plate, Words: CodeWords(), Host: host}
}

// CodeWords returns the random words of a code, with dashes between.
func CodeWords() string { return strings.Join(randomWords(CodeWordCount), "-") }

// Encode returns the text, words included.
func (c Code) Encode() string {
	text := strconv.FormatUint(uint64(c.Plate), 10) + "-" + c.Words
	if c.Host != "" {
		text += "@" + c.Host
	}
	return text
}

// String returns the plate, so that no words are printed by accident.
func (c Code) String() string { return "code " + strconv.FormatUint(uint64(c.Plate), 10) + "-…" }

// GoString returns what [Code.String] does.
func (c Code) GoString() string { return c.String() }

// LogValue implements [slog.LogValuer] as String does.
func (c Code) LogValue() slog.Value { return slog.StringValue(c.String()) }

// IsCode reports whether a text has the form of a code, in any case of its letters. Its
// words may be mistyped.
func IsCode(text string) bool {
	local, _, _ := strings.Cut(text, "@")
	return isCode.MatchString(strings.ToLower(local))
}

// ParseCode parses the result of [Code.Encode], in any case of its letters. The error,
// with code [proto.Usage], repeats a word only if it is not in the list.
func ParseCode(text string) (Code, error) {
	local, host, at := strings.Cut(strings.ToLower(text), "@")
	if !isCode.MatchString(local) {
		return Code{}, proto.Errorf(proto.Usage, "not a code: want a number and %d words, as in 7-guitar-croissant-lunchbox", CodeWordCount)
	}
	plate, list, _ := strings.Cut(local, "-")
	n, err := strconv.ParseUint(plate, 10, 32)
	if err != nil {
		return Code{}, proto.Errorf(proto.Usage, "not a code: its number is too long")
	}
	for w := range strings.SplitSeq(list, "-") {
		if !IsWord(w) {
			return Code{}, mistyped(w)
		}
	}
	if at {
		u, err := ParseURL("wss://" + host)
		if err != nil || strings.ContainsAny(host, "/?#@") {
			return Code{}, proto.Errorf(proto.Usage, "code: what follows @ is no host: %s", proto.QuoteText(host))
		}
		host = strings.TrimSuffix(u.Host, ":443")
	}
	return Code{uint32(n), list, host}, nil
}

// maxTypos is how many letters a mistyped word may differ in from one that is suggested.
const maxTypos = 2

// mistyped says that a word is in no code, with the words that are spelled most like it.
func mistyped(w string) error {
	err := proto.Errorf(proto.Usage, "code: %s is not in the list of words", proto.QuoteText(w))
	if near := nearWords(w); len(near) > 0 {
		return proto.Hint(err, "in the list are "+strings.Join(near[:min(len(near), 5)], ", "))
	}
	return err
}

// nearWords returns the words of the list that differ from w in the fewest letters, if
// those are few, or else those that begin as w does.
func nearWords(w string) []string {
	best, near := maxTypos, []string(nil)
	for _, word := range words() {
		d := smetrics.WagnerFischer(w, word, 1, 1, 1)
		if d < best {
			best, near = d, nil
		}
		if d == best {
			near = append(near, word)
		}
	}
	for n := min(len(w)-1, 3); n >= 2 && len(near) == 0; n-- {
		near = CompleteWord(w[:n])
	}
	return near
}
