// Package exclude decides which entries of a folder are left out. Patterns have the syntax
// and the order of gitignore(5): the last one that matches an entry decides, and nothing
// in a folder that is left out can be taken back in. As in git, a pattern matches bytes,
// and letters of different case differ.
//
// One pattern costs at most the length of the path times its own length, so a hostile one
// costs time but never blocks.
package exclude

import (
	"fmt"
	"io"
	"os"
	"strings"

	"mesh/proto"
)

const (
	// maxPatternBytes bounds a pattern, maxFileBytes a file of them.
	maxPatternBytes = 4096
	maxFileBytes    = 1 << 20
)

// List is patterns in order. The zero value, and nil, leave nothing out.
type List struct{ patterns []*pattern }

// Add appends a pattern as it stands in a command line: it is no comment, and spaces at
// its end belong to it. origin says where it comes from.
func (l *List) Add(text, origin string) error {
	if len(text) > maxPatternBytes {
		return proto.Errorf(proto.Usage, "%s: the pattern is longer than %d bytes", origin, maxPatternBytes)
	}
	if p := parse(text); p != nil {
		p.origin = origin
		l.patterns = append(l.patterns, p)
	}
	return nil
}

// AddFile appends the patterns of a file in the format of .gitignore. It reads a pipe too.
func (l *List) AddFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return proto.IOError(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return proto.IOError(err)
	}
	if len(text) > maxFileBytes {
		return proto.Errorf(proto.Usage, "%s is no list of patterns: it is larger than %d bytes", name, maxFileBytes)
	}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		number++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if err := l.Add(trimSpaces(line), fmt.Sprintf("%s:%d", name, number)); err != nil {
			return err
		}
	}
	return nil
}

// trimSpaces removes the spaces at the end of a line, but not one behind a backslash.
func trimSpaces(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			if i++; i == len(line) {
				return line
			}
		}
		end = i + 1
	}
	return line[:end]
}

// Excludes reports whether an entry is left out, and which pattern says so. The path is
// relative to the folder that the patterns are for, with slashes. The caller asks for a
// folder before it asks for what is in it, and not at all if the folder is left out.
func (l *List) Excludes(path string, folder bool) (why string, excluded bool) {
	if l == nil || len(l.patterns) == 0 {
		return "", false
	}
	names := strings.Split(path, "/")
	for i := len(l.patterns) - 1; i >= 0; i-- {
		if p := l.patterns[i]; p.matches(names, folder) {
			return p.origin + ": " + p.text, !p.negated
		}
	}
	return "", false
}
