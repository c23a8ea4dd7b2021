package hub

import (
	"fmt"
	"regexp"
	"strings"

	"mesh/proto"
)

// secretOrID begins texts that are no names: node ids, tokens, invites and vouchers.
var secretOrID = []string{"mk1", proto.TokenPrefix, "mi1", "mv1"}

// isCode matches the codes of three words with which two people meet.
var isCode = regexp.MustCompile(`^[1-9][0-9]{0,5}(-[a-z]+){3}$`)

// CheckName returns an error unless name may be registered: 1 to 63 of a-z, 0-9, ".",
// "_" and "-", with a letter or digit first. It is no code and does not begin as a node
// id, token, invite or voucher does. The error does not repeat a name that may be secret.
func CheckName(name string) error {
	for _, p := range secretOrID {
		if strings.HasPrefix(name, p) {
			return fmt.Errorf("a name does not begin with %s", p)
		}
	}
	if isCode.MatchString(name) {
		return fmt.Errorf("a name does not look like a code")
	}
	return checkWord("name", name)
}

// CheckRoom returns an error unless room may be the name of a room. It has the letters
// of a name.
func CheckRoom(room string) error { return checkWord("room", room) }

func checkWord(what, s string) error {
	if s == "" || len(s) > MaxNameBytes || strings.Contains("._-", s[:1]) || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return fmt.Errorf("%s %s: a %s is up to %d lower-case letters, digits, dots, dashes and underscores, with a letter or digit first", what, proto.QuoteText(s), what, MaxNameBytes)
	}
	return nil
}
