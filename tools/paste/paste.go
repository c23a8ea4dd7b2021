// Package paste reads what a person has copied and pasted. It finds a token among
// quotes, prompts and line breaks, or says what is wrong with it. No error contains a
// part of a token.
package paste

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// Limits of the search for a token. A text has few places where one can begin, and a
// mail breaks a token into few pieces.
const (
	maxStarts = 32
	maxPieces = 64
	maxGap    = 8 // bytes between two pieces
)

// wrapping is what people put around a word: quotes, brackets, and marks of Markdown.
const wrapping = "\"'`´<>()[]{}«»‹›“”„‟‘’‚‛,;*|"

var (
	begins   = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])` + token.Prefix + `(?:[^.:]|$)`)
	fragment = regexp.MustCompile(`(?i)` + token.Prefix + `[a-z2-7]{12}|[a-z2-7]{32}`)
)

// Clean returns text without what copying adds: a byte order mark, characters that
// show nothing, the marks of a bracketed paste, and white space at the ends. All other
// white space becomes single blanks. Text in UTF-16 with a byte order mark, which the
// redirection of Windows PowerShell writes, is decoded.
func Clean(text string) string {
	text = decodeUTF16(text)
	text = strings.NewReplacer("\x1b[200~", "", "\x1b[201~", "").Replace(text)
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf):
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// decodeUTF16 returns text in UTF-8 if a byte order mark says that it is UTF-16.
func decodeUTF16(text string) string {
	if len(text) < 2 || len(text)%2 != 0 {
		return text
	}
	high := 0 // index of the high byte of a unit
	switch text[:2] {
	case "\xff\xfe":
		high = 1
	case "\xfe\xff":
	default:
		return text
	}
	units := make([]uint16, 0, len(text)/2)
	for i := 2; i < len(text); i += 2 {
		units = append(units, uint16(text[i+high])<<8|uint16(text[i+1-high]))
	}
	return string(utf16.Decode(units))
}

// Word returns a cleaned text without the quotes and brackets around it.
func Word(text string) string { return strings.Trim(strings.Trim(Clean(text), wrapping), " ") }

// PeerWord returns the word that is meant by text without a token in it: a pasted
// command line, "$ mesh-cat bob", means bob.
func PeerWord(text string) string {
	if text = Clean(text); identity.CheckAddr(text) == nil { // [::1]:4600 keeps its brackets
		return text
	}
	if args := strings.Fields(text); len(args) > 1 && len(Unprompt(args)) == 1 {
		text = Unprompt(args)[0]
	}
	return Word(text)
}

// HasToken reports whether a token may begin in text, in upper or lower case. A host
// such as mesh1.example is none.
func HasToken(text string) bool { return begins.MatchString(Clean(text)) }

// Secret reports whether text may contain so much of a token that it must not be
// shown.
func Secret(text string) bool { return fragment.MatchString(Clean(text)) }

// Token returns the one token in text. What stands around it is ignored: quotes, a
// prompt, the command line that the token is a part of. It may be in upper case and
// broken into pieces.
func Token(text string) (token.Token, error) {
	text = lower(Clean(text))
	if text == "" {
		return token.Token{}, notToken(errors.New("it is empty"))
	}
	found := find(text)
	for _, t := range found {
		if !t.Equal(found[0]) {
			return token.Token{}, notToken(errors.New("there are two tokens in it, and one is wanted"))
		}
	}
	if len(found) > 0 {
		return found[0], nil
	}
	_, err := token.Parse(candidate(text))
	return token.Token{}, err
}

func notToken(err error) error { return proto.Errorf(proto.Usage, "not a token: %w", err) }

// lower replaces the letters that a token may have in upper case.
func lower(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

// find returns the whole tokens in text.
func find(text string) (found []token.Token) {
	for range maxStarts {
		i := strings.Index(text, token.Prefix)
		if i < 0 {
			break
		}
		text = text[i+len(token.Prefix):]
		if t, rest, ok := joinPieces(text); ok {
			found, text = append(found, t), rest
		}
	}
	return found
}

// joinPieces reads a token whose prefix stands before text: the shortest row of pieces
// that is a whole token.
func joinPieces(text string) (t token.Token, rest string, ok bool) {
	var joined strings.Builder
	joined.WriteString(token.Prefix)
	for range maxPieces {
		gap := strings.IndexFunc(text, inToken)
		if gap < 0 || gap > maxGap {
			break
		}
		text = text[gap:]
		end := strings.IndexFunc(text, notInToken)
		if end < 0 {
			end = len(text)
		}
		joined.WriteString(text[:end])
		text = text[end:]
		if t, err := token.Parse(joined.String()); err == nil {
			return t, text, true
		}
	}
	return token.Token{}, "", false
}

func inToken(r rune) bool    { return 'a' <= r && r <= 'z' || '2' <= r && r <= '7' }
func notInToken(r rune) bool { return !inToken(r) }

// candidate returns what is most likely meant as a token, to say what is wrong with it:
// from the first prefix on, without blanks and without quotes around it.
func candidate(text string) string {
	if i := strings.Index(text, token.Prefix); i >= 0 {
		text = text[i:]
	}
	return strings.TrimRight(strings.ReplaceAll(text, " ", ""), wrapping+".:!?$~_")
}

// prompts are words that stand before a command line that was copied from a terminal.
var prompts = []string{"$", "#", "%", ">", "❯", "➜"}

// Unprompt returns the arguments of a command line without another command line's
// beginning: who pastes "$ mesh-cat TOKEN" behind mesh-cat means TOKEN.
func Unprompt(args []string) []string {
	rest := args
	for len(rest) > 1 && isPrompt(rest[0]) {
		rest = rest[1:]
	}
	prompted := len(rest) < len(args)
	if named := dropName(rest); len(named) > 0 && len(named) < len(rest) && (prompted || HasToken(named[0]) || strings.HasPrefix(named[0], "@")) {
		return named
	}
	if prompted && len(rest) > 0 && (HasToken(rest[0]) || strings.HasPrefix(rest[0], "@")) {
		return rest
	}
	return args
}

func isPrompt(word string) bool {
	return slices.Contains(prompts, word)
}

// dropName removes the name of a tool from the front of args: mesh-cat, or mesh cat.
func dropName(args []string) []string {
	if len(args) > 1 && IsToolName(args[0]) && args[1] != "" {
		return args[1:]
	}
	if len(args) > 2 && args[0] == "mesh" && IsToolName("mesh-"+args[1]) && args[2] != "" {
		return args[2:]
	}
	return args
}

// IsToolName reports whether word is the name of a tool that takes PEER.
func IsToolName(word string) bool {
	return word == "mesh-cat" || word == "mesh-recv" || word == "mesh-tty"
}

// Join returns the token that stands at the front of args and the arguments behind it.
// A token that a line break has cut is several arguments. Without a whole token the
// error says what is wrong with it.
func Join(args []string) (t token.Token, rest []string, err error) {
	for n := 1; n <= min(len(args), maxPieces); n++ {
		t, errN := Token(strings.Join(args[:n], " "))
		if errN == nil {
			return t, dropRepeat(args[0], args[n:]), nil
		}
		if n == 1 || Secret(args[n-1]) { // a further piece, and no FILE
			err = errN
		}
	}
	return token.Token{}, nil, err
}

// dropRepeat removes the name of the tool from what follows MESH_PEER=TOKEN.
func dropRepeat(first string, rest []string) []string {
	if strings.Contains(first, "=") && len(rest) > 0 && IsToolName(rest[0]) {
		return rest[1:]
	}
	return rest
}

// MaxFileBytes is how much of a file is searched for a token.
const MaxFileBytes = 64 << 10

// FileHasToken reports whether a file holds a token. It reads regular files only.
func FileHasToken(name string) bool {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > MaxFileBytes {
		return false
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return false
	}
	_, err = Token(string(text))
	return err == nil
}
