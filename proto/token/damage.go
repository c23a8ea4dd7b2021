package token

import (
	"errors"
	"fmt"
	"strings"
)

const base32Letters = "abcdefghijklmnopqrstuvwxyz234567"

// damage says what is most likely wrong with the text of a token that begins with
// [Prefix]: a character that no token has, characters that are missing or too many, or
// a wrong letter. It compares the length with the one that the front of the token
// announces.
func damage(text string) error {
	body := text[len(Prefix):]
	if at := strings.IndexFunc(body, func(r rune) bool { return !strings.ContainsRune(base32Letters, r) }); at >= 0 {
		return fmt.Errorf("character %d is wrong: a token has the letters a to z and the digits 2 to 7", at+len(Prefix)+1)
	}
	want, err := announcedLength(body)
	switch {
	case errors.Is(err, errShort):
		return errors.New("characters are missing, for example the end")
	case err != nil:
		return errors.New("characters are missing, or some at its beginning are wrong")
	case len(text) < want:
		return fmt.Errorf("characters are missing: it has %d of %d", len(text), want)
	case len(text) > want:
		return fmt.Errorf("it has %d characters too many, or some at its beginning are wrong", len(text)-want)
	}
	return errors.New("the checksum is wrong: a character is mistyped")
}

// announcedLength returns how many characters the text of a token has whose front is
// body. The error is [errShort] if the front ends before its lengths are known.
func announcedLength(body string) (int, error) {
	raw, err := base32Text.DecodeString(body[:len(body)/8*8]) // whole groups
	if err != nil {
		return 0, err
	}
	c, b, err := parseClaims(raw)
	if err != nil {
		return 0, err
	}
	if _, b, err = parseAddrs(b); err != nil {
		return 0, err
	}
	n := len(raw) - len(b) + c.secretLen() + checkBytes
	return len(Prefix) + base32Text.EncodedLen(n), nil
}
