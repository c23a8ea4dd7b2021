package proto

import (
	"regexp"
	"strings"
	"sync"
)

// secretText matches tokens, invites, vouchers and API tokens, which give rights to every reader.
// A mail or a terminal may have broken one into lines, which a message shows escaped.
var secretText = sync.OnceValue(func() *regexp.Regexp {
	const rest = `(?:(?:\\+u\{[0-9a-f]{1,6}\}|\\+[abfnrtvx])+[a-z0-9]+|[^a-z0-9]{1,8}[a-z0-9]{16,})`
	return regexp.MustCompile(`(?i)(?:` + strings.Join(secretPrefixes, "|") + `)(?:[a-z0-9]{8,}` + rest + `*|[a-z0-9]{0,7}` + rest + `+)`)
})

// secretPrefixes begin a token, an invite, a voucher and an API token.
var secretPrefixes = []string{TokenPrefix, "mi1", "mv1", "mh1"}

// HideSecrets replaces each token, invite, voucher and API token in a message by its prefix. A
// user may have put one where a name or a number is expected, and the error repeats it.
// All messages on standard error, in logs and in the errors of events pass through it.
func HideSecrets(message string) string {
	if !mayHoldSecret(message) {
		return message
	}
	return secretText().ReplaceAllStringFunc(message, func(secret string) string {
		return secret[:strings.IndexByte(secret, '1')+1] + "…"
	})
}

// FindSecrets returns where the tokens, invites and vouchers in text are, without
// their prefixes: the first byte, and the one after the last.
func FindSecrets(text string) [][2]int {
	if !mayHoldSecret(text) {
		return nil
	}
	var found [][2]int
	for _, at := range secretText().FindAllStringIndex(text, -1) {
		found = append(found, [2]int{at[0] + strings.IndexByte(text[at[0]:], '1') + 1, at[1]})
	}
	return found
}

// mayHoldSecret spares most messages the regular expression.
func mayHoldSecret(text string) bool { return strings.LastIndexByte(text, '1') >= 2 }
