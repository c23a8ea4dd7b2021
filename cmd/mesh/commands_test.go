package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// field reads a field of the last JSON object in FILE, one a line, whose event
// is EVENT, or of the last object there for EVENT "-". It becomes the value of
// ENVVAR, or what the commands stdout and cmp see:
//
//	field FILE EVENT NAME [ENVVAR]
//
// A string is given as it is, anything else as JSON. With "!", there must be no
// such event or no such field.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 || len(args) > 4 || neg && len(args) == 4 {
		ts.Fatalf("usage: [!] field FILE EVENT NAME [ENVVAR]")
	}
	file, event, name := args[0], args[1], args[2]
	value, found := "", false
	for line := range strings.Lines(ts.ReadFile(file)) {
		var object map[string]json.RawMessage
		ts.Check(json.Unmarshal([]byte(line), &object))
		if event != "-" && string(object["event"]) != fmt.Sprintf("%q", event) {
			continue
		}
		raw, ok := object[name]
		found = ok
		if value = string(raw); strings.HasPrefix(value, `"`) {
			ts.Check(json.Unmarshal(raw, &value))
		}
	}
	switch {
	case found == neg:
		ts.Fatalf("field: %s, event %s, field %s: found is %t", file, event, name, found)
	case len(args) == 4:
		ts.Setenv(args[3], value)
	case found:
		_, err := fmt.Fprintln(ts.Stdout(), value)
		ts.Check(err)
	}
}
