package sum

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"mesh/pipe/digest"
	"mesh/proto"
)

// counts are the results of a check.
type counts struct{ total, mismatched, unreadable, malformed int }

// err returns the error for a check that went through to its end: nil if all digests
// match. The exit code is that of first, the first failure.
func (n counts) err(first error) error {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{n.mismatched, "did not match"}, {n.unreadable, "could not be read"}, {n.malformed, "had no valid line"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return proto.Errorf(proto.CodeOf(first), "of %d digests, %s", n.total, strings.Join(parts, ", "))
}

// checkLists checks all files that the lists name.
func (p *printer) checkLists(lists []string, quiet bool) error {
	var n counts
	for _, name := range lists {
		if err := p.checkList(name, quiet, &n); err != nil {
			return err
		}
	}
	return n.err(p.firstErr)
}

// checkList checks one list. It returns only the errors that end the run.
func (p *printer) checkList(list string, quiet bool, n *counts) error {
	in, err := p.open(list)
	if err != nil {
		return err
	}
	defer in.Close() // only read
	r := bufio.NewReaderSize(in, maxLineBytes)
	for number := 1; ; number++ {
		text, err := r.ReadSlice('\n')
		switch {
		case err == io.EOF && len(text) == 0:
			if number == 1 { // a list that was truncated to nothing must not pass
				return proto.Errorf(proto.Protocol, "%s: no digests in it", list)
			}
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			return proto.Errorf(proto.Protocol, "%s:%d: line longer than %d bytes", list, number, maxLineBytes)
		case err != nil && err != io.EOF:
			return proto.IOError(err)
		}
		n.total++
		d, name, err := parseLine(strings.TrimSuffix(string(text), "\n"))
		if err != nil {
			n.malformed++
			err = proto.Errorf(proto.Protocol, "%s:%d: %w", list, number, err)
			p.s.Complain(err)
			p.fail(err)
			continue
		}
		if err := p.checkFile(d, name, quiet, n); err != nil {
			return err
		}
	}
}

// checkFile prints whether a file has the digest want.
func (p *printer) checkFile(want digest.Digest, name string, quiet bool, n *counts) error {
	verdict := "OK"
	got, err := p.digest(name)
	switch {
	case err != nil:
		n.unreadable++
		p.fail(err)
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		verdict = fmt.Sprintf("FAILED (%v)", err)
	case got != want:
		n.mismatched++
		p.fail(proto.Errorf(proto.Integrity, "%s: digest mismatch", name))
		verdict = "FAILED"
	case quiet:
		return nil
	}
	shown, escaped := escapeName(name)
	if escaped {
		shown = `\` + shown
	}
	return p.print(shown + ": " + verdict + "\n")
}
