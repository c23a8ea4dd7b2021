// Package cast writes recordings of a terminal in the form asciicast v2, which
// asciinema plays and JSON tools read: a line with a header, then a line for each
// event, [seconds, code, data].
//
// See https://docs.asciinema.org/manual/asciicast/v2/.
package cast

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Header is a recording's first line.
type Header struct {
	Cols, Rows int
	Start      time.Time         // the time that all events are told from
	Title      string            // may be empty
	Command    string            // may be empty
	Env        map[string]string // TERM and SHELL, as far as they are known
}

// Writer writes one recording. Each line goes out whole, with one Write. It is
// not safe for concurrent use.
//
// A recording that begins late has the terminal's snapshot as its first output.
type Writer struct {
	w     io.Writer
	start time.Time
	last  time.Duration // of the newest event

	output, input UTF8

	line bytes.Buffer
	rest []byte // of a line that was written in part
	lost int64  // bytes of events that could not be written since
}

// NewWriter writes the header and returns the writer of what follows it.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	c := &Writer{w: w, start: h.Start}
	c.encode(struct {
		Version   int               `json:"version"`
		Width     int               `json:"width"`
		Height    int               `json:"height"`
		Timestamp int64             `json:"timestamp"`
		Title     string            `json:"title,omitempty"`
		Command   string            `json:"command,omitempty"`
		Env       map[string]string `json:"env,omitempty"`
	}{2, h.Cols, h.Rows, h.Start.Unix(), h.Title, h.Command, h.Env})
	c.line.WriteByte('\n')
	return c, c.write(0)
}

// Output writes what the terminal showed. Bytes of a character that p ends
// within come with the next output; bytes that are no UTF-8 become U+FFFD.
//
// An error does not end the recording: the next event goes on with whole lines,
// after a mark that tells of the gap.
func (c *Writer) Output(at time.Time, p []byte) error { return c.text(at, "o", &c.output, p) }

// Input writes what was typed, as [Writer.Output] does.
func (c *Writer) Input(at time.Time, p []byte) error { return c.text(at, "i", &c.input, p) }

// Resize writes that the terminal has a new size.
func (c *Writer) Resize(at time.Time, cols, rows int) error {
	return c.event(at, "r", fmt.Sprintf("%dx%d", cols, rows))
}

// Mark writes a mark, which players can stop at. The label may be empty.
func (c *Writer) Mark(at time.Time, label string) error { return c.event(at, "m", label) }

// Close writes what is left of an unfinished character. It does not close the
// writer below.
func (c *Writer) Close(at time.Time) error {
	if s := c.output.End(); s != "" {
		return c.event(at, "o", s)
	}
	if len(c.rest) > 0 {
		return c.writeRest()
	}
	return nil
}

// Invalid is how many bytes were no UTF-8.
func (c *Writer) Invalid() int64 { return c.output.invalid + c.input.invalid }

func (c *Writer) text(at time.Time, code string, t *UTF8, p []byte) error {
	s := t.Take(p)
	if s == "" {
		return nil
	}
	return c.event(at, code, s)
}

func (c *Writer) event(at time.Time, code, data string) error {
	if c.lost > 0 {
		lost := c.lost
		c.compose(at, "m", fmt.Sprintf("%d bytes were lost here", lost))
		if err := c.write(len(data)); err != nil {
			return err
		}
		c.lost -= lost
	}
	c.compose(at, code, data)
	return c.write(len(data))
}

// compose makes the event's line. Time never runs backwards in a recording.
func (c *Writer) compose(at time.Time, code, data string) {
	c.last = max(c.last, at.Sub(c.start))
	c.line.Reset()
	c.line.WriteByte('[')
	c.line.Write(strconv.AppendFloat(c.line.AvailableBuffer(), c.last.Seconds(), 'f', 6, 64))
	c.line.WriteString(`, "` + code + `", `)
	c.encode(data)
	c.line.WriteString("]\n")
}

// encode appends v to the line, with <, > and & as they are.
func (c *Writer) encode(v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("cast: internal error: " + err.Error()) // strings and numbers only
	}
	c.line.Write(EscapeControls(bytes.TrimSuffix(b.Bytes(), []byte("\n"))))
}

// write writes the line. If that fails, what the line holds, n bytes, is lost,
// unless it was begun: then its rest goes before the next one.
func (c *Writer) write(n int) error {
	if err := c.writeRest(); err != nil {
		c.lost += int64(n)
		return err
	}
	wrote, err := c.w.Write(c.line.Bytes())
	if err == nil {
		return nil
	}
	if wrote > 0 {
		c.rest = append(c.rest, c.line.Bytes()[wrote:]...)
	} else {
		c.lost += int64(n)
	}
	return err
}

func (c *Writer) writeRest() error {
	if len(c.rest) == 0 {
		return nil
	}
	wrote, err := c.w.Write(c.rest)
	c.rest = append(c.rest[:0], c.rest[wrote:]...)
	return err
}
