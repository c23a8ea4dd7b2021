package broker

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// exportLine is a line of an export: a fact, or at the end the number of facts.
type exportLine struct {
	Key   string         `json:"key,omitzero"`
	Value jsontext.Value `json:"value,omitzero"`
	Facts *int           `json:"facts,omitzero"`
}

// WriteExport writes facts as text, one JSON object a line. The last line has their
// number, so that a text that was cut is known.
func WriteExport(w io.Writer, facts []Fact) error {
	b := bufio.NewWriter(w)
	n := len(facts)
	for _, l := range append(lines(facts), exportLine{Facts: &n}) {
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		_, _ = b.Write(append(text, '\n')) // Flush returns its error
	}
	return b.Flush()
}

func lines(facts []Fact) []exportLine {
	out := make([]exportLine, 0, len(facts)+1)
	for _, f := range facts {
		out = append(out, exportLine{Key: f.Key, Value: f.Value})
	}
	return out
}

// maxExportLine bounds a line: a fact, its key, and what is around them.
const maxExportLine = MaxFactBytes + 1<<10

// ReadExport reads what [WriteExport] wrote, and checks each fact. The error names the
// line.
func ReadExport(r io.Reader) ([]Fact, error) {
	var facts []Fact
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxExportLine)
	n, whole := 0, false
	for s.Scan() {
		n++
		if whole {
			return nil, fmt.Errorf("line %d: something follows the end", n)
		}
		var l exportLine
		if err := json.Unmarshal(s.Bytes(), &l, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if l.Facts != nil {
			if whole = *l.Facts == len(facts); !whole {
				return nil, fmt.Errorf("line %d: %d facts were written, and %d are here", n, *l.Facts, len(facts))
			}
			continue
		}
		f := Fact{Key: l.Key, Value: l.Value}
		if err := CheckFact(f); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if facts = append(facts, f); len(facts) > maxFacts {
			return nil, fmt.Errorf("line %d: more facts than a hub has", n)
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	if !whole {
		return nil, errors.New("its end is missing: it was cut")
	}
	return facts, nil
}

// maxFacts is how many facts a hub can have.
const maxFacts = MaxMembers + MaxNames + MaxBans + MaxKeptInvites + MaxTokens
