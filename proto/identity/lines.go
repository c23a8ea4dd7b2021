package identity

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"mesh/proto"
	"mesh/proto/statefile"
)

// eachLine calls f with the words of each line of the file, without comments and
// empty lines. A missing file has no lines. An error has the file and the line.
func eachLine(path string, f func(words []string) error) error {
	text, err := statefile.Read(path, maxPeersFileBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(text), "\n") {
		words := lineWords(line)
		if len(words) == 0 {
			continue
		}
		if err := f(words); err != nil {
			return proto.Errorf(proto.Config, "%s:%d: %w", path, i+1, err)
		}
	}
	return nil
}

func lineWords(line string) []string {
	line, _, _ = strings.Cut(line, "#")
	return strings.Fields(line)
}

// editLines replaces the first line for which match reports true by line, or appends
// line. It removes all other matching lines; if line is "", all matching ones. It
// writes the file as [statefile.Edit] does.
func (b Book) editLines(file, line string, match func(words []string) (bool, error)) error {
	return statefile.Edit(filepath.Join(b.Dir, file), maxPeersFileBytes, func(old []byte) ([]byte, error) {
		var out bytes.Buffer
		for l := range strings.Lines(string(old)) {
			if words := lineWords(l); len(words) > 0 {
				matched, err := match(words)
				if err != nil {
					return nil, err
				}
				if matched {
					if line != "" {
						out.WriteString(line + "\n")
						line = ""
					}
					continue
				}
			}
			out.WriteString(strings.TrimSuffix(l, "\n") + "\n")
		}
		if line != "" {
			out.WriteString(line + "\n")
		}
		return out.Bytes(), nil
	})
}
