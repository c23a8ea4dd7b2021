package term

import (
	"encoding/base64"
	"slices"
	"strings"
)

// screenChunk is how much of a sequence GNU screen passes on at once, with room to spare.
const screenChunk = 250

// CopySequence returns the escape sequence with which a terminal puts text into its
// selections (OSC 52): c is the clipboard. Environment variables say whether it must pass
// tmux or GNU screen. The terminal sends no answer, and may ignore it.
func CopySequence(selections, text string, getenv func(string) string) string {
	seq := "\x1b]52;" + selections + ";" + base64.StdEncoding.EncodeToString([]byte(text)) + "\a"
	switch {
	case getenv("TMUX") != "":
		// tmux obeys with set-clipboard on, and passes on with allow-passthrough on.
		return seq + "\x1bPtmux;" + strings.ReplaceAll(seq, "\x1b", "\x1b\x1b") + "\x1b\\"
	case getenv("STY") != "":
		var b strings.Builder
		for chunk := range slices.Chunk([]byte(seq), screenChunk) {
			b.WriteString("\x1bP" + string(chunk) + "\x1b\\")
		}
		return b.String()
	}
	return seq
}
