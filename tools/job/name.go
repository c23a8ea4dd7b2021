package job

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"mesh/proto"
)

// placeholder is what a template may have: {date}.
var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// Template is the name of a pipe, in which {date}, {time}, {host} and some other words
// stand for what is known when a transfer begins.
type Template string

// HasTime reports whether the name is another one each time, or each day.
func (t Template) HasTime() bool {
	return strings.Contains(string(t), "{date}") || strings.Contains(string(t), "{time}")
}

// Check refuses a word in braces that is neither {date}, {time} nor {host}, nor one of
// more. The error has code [proto.Usage].
func (t Template) Check(more ...string) error {
	known := append([]string{"date", "time", "host"}, more...)
	for _, p := range placeholder.FindAllString(string(t), -1) {
		if !slices.Contains(known, strings.Trim(p, "{}")) {
			return proto.Errorf(proto.Usage, "%s is none of {%s}", proto.QuoteText(p), strings.Join(known, "} {"))
		}
	}
	return nil
}

// Expand returns the name at a time: the date is the local one, and the time is in UTC and
// fits a name on every system. more are further words and what they stand for.
func (t Template) Expand(now time.Time, more map[string]string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	words := map[string]string{"date": now.Local().Format(time.DateOnly), "time": now.UTC().Format("2006-01-02T15-04-05Z"), "host": host}
	maps.Copy(words, more)
	return placeholder.ReplaceAllStringFunc(string(t), func(p string) string {
		if text, ok := words[strings.Trim(p, "{}")]; ok {
			return text
		}
		return p
	})
}
