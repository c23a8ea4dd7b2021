package broker_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"mesh/proto/hub/broker"
	"mesh/proto/xtest"
)

// exported returns the facts of a hub with one of each kind, and their text.
func exported(t testing.TB) ([]broker.Fact, string) {
	t.Helper()
	node, day := xtest.NewKey(t).ID().String(), time.Unix(1_800_000_000, 0).UTC().Format(time.RFC3339)
	facts := []broker.Fact{
		{Key: "ban/203.0.113.0/24", Value: fmt.Appendf(nil, `{"what":"203.0.113.0/24","by":"admin","at":%q}`, day)},
		{Key: "invite/" + node, Value: fmt.Appendf(nil, `{"key":%q,"by":"admin","made":%q,"expires":%q,"uses":2}`, node, day, day)},
		{Key: "member/" + node, Value: fmt.Appendf(nil, `{"node":%q,"since":%q}`, node, day)},
		{Key: "name/bob", Value: fmt.Appendf(nil, `{"name":"bob","node":%q,"since":%q,"online":%q,"lasting":true}`, node, day, day)},
	}
	var text bytes.Buffer
	if err := broker.WriteExport(&text, facts); err != nil {
		t.Fatal(err)
	}
	return facts, text.String()
}

// An export is read as it was written, and one that was cut or changed is refused.
func TestExport(t *testing.T) {
	t.Parallel()
	facts, text := exported(t)
	got, err := broker.ReadExport(strings.NewReader(text))
	if err != nil || !reflect.DeepEqual(got, facts) {
		t.Fatalf("got %v (%v), want %v", got, err, facts)
	}
	for n := range len(text) - 1 { // without its last newline it is whole
		if got, err := broker.ReadExport(strings.NewReader(text[:n])); err == nil {
			t.Fatalf("cut at %d of %d: got %d facts and no error", n, len(text), len(got))
		}
	}
	lines := strings.SplitAfter(text, "\n")
	for what, changed := range map[string]string{
		"a line is missing":       lines[0] + lines[1] + lines[2] + lines[4],
		"a line twice":            lines[0] + text,
		"something after the end": text + lines[0],
		"two ends":                text + lines[4],
		"another key":             strings.Replace(text, "name/bob", "name/eve", 1),
		"an unknown kind":         strings.Replace(text, "ban/", "bin/", 1),
		"a ban that is none":      strings.ReplaceAll(text, "203.0.113.0/24", "203.0.113.9/24"),
		"a name that is none":     strings.ReplaceAll(text, "bob", "Bob"),
		"an unknown field":        strings.Replace(text, `{"key"`, `{"more":1,"key"`, 1),
		"a long line":             strings.Replace(text, `"by":"admin"`, `"by":"`+strings.Repeat("x", broker.MaxFactBytes)+`"`, 1),
		"no object":               "[]\n" + text,
	} {
		if got, err := broker.ReadExport(strings.NewReader(changed)); err == nil {
			t.Errorf("%s: got %d facts and no error", what, len(got))
		}
	}
}

func FuzzReadExport(f *testing.F) {
	_, text := exported(f)
	f.Add(text)
	f.Add(`{"facts":0}`)
	f.Add("{\"facts\":0}\n{\"facts\":0}")
	f.Fuzz(func(t *testing.T, text string) {
		facts, err := broker.ReadExport(strings.NewReader(text))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := broker.WriteExport(&again, facts); err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if got, err := broker.ReadExport(&again); err != nil || len(got) != len(facts) {
			t.Fatalf("written again: got %d facts (%v), want %d", len(got), err, len(facts))
		}
	})
}

func FuzzParseAccess(f *testing.F) {
	node := xtest.NewKey(f).ID().String()
	f.Add("member " + node + " until=2027-01-01 # bob\nadmin " + node + "\nban 203.0.113.0/24\nban " + node + "\nreserve www " + node + "\n")
	f.Add("\n\n# nothing\r\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = broker.ParseAccess(text) })
}
