// Package cast writes recordings of a terminal in the format asciicast v2, which
// asciinema plays: a line with a header, then a line for each event, [seconds, code,
// data], all of them JSON.
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
	Start      time.Time         // the times of events are relative to this
	Title      string            // may be empty
	Command    string            // may be empty
	Env        map[string]string // TERM and SHELL, if known
}

// Writer writes one recording, each line with one Write. It is not safe for concurrent
// use.
//
// If recording starts after the program, the first output is a snapshot of the
// terminal.
type Writer struct {
	w     io.Writer
	start time.Time
	last  time.Duration // the time of the newest event

	output, input UTF8

	line bytes.Buffer
	rest []byte // the unwritten rest of a line that was written in part
	lost int64  // bytes of the events that were lost since the last one written
}

// NewWriter writes the header to w and returns the writer of the events.
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
	return c, c.writeLine(0)
}

// Output writes an event with output of the terminal. If p ends within a character,
// that comes with the next output. Invalid UTF-8 becomes U+FFFD.
//
// After an error the recording can continue: the next event begins a new line, after
// a mark that reports the gap.
func (c *Writer) Output(at time.Time, p []byte) error { return c.text(at, "o", &c.output, p) }

// Input writes an event with typed input, as [Writer.Output] does.
func (c *Writer) Input(at time.Time, p []byte) error { return c.text(at, "i", &c.input, p) }

// Resize writes an event with the terminal's new size.
func (c *Writer) Resize(at time.Time, cols, rows int) error {
	return c.event(at, "r", fmt.Sprintf("%dx%d", cols, rows))
}

// Mark writes a mark, where players can stop. The label may be empty.
func (c *Writer) Mark(at time.Time, label string) error { return c.event(at, "m", label) }

// Close writes an unfinished character of the output. It does not close the underlying
// writer.
func (c *Writer) Close(at time.Time) error {
	if s := c.output.Flush(); s != "" {
		return c.event(at, "o", s)
	}
	if len(c.rest) > 0 {
		return c.writeRest()
	}
	return nil
}

func (c *Writer) text(at time.Time, code string, t *UTF8, p []byte) error {
	s := t.Decode(p)
	if s == "" {
		return nil
	}
	return c.event(at, code, s)
}

func (c *Writer) event(at time.Time, code, data string) error {
	if c.lost > 0 {
		lost := c.lost
		c.compose(at, "m", fmt.Sprintf("%d bytes were lost here", lost))
		if err := c.writeLine(len(data)); err != nil {
			return err
		}
		c.lost -= lost
	}
	c.compose(at, code, data)
	return c.writeLine(len(data))
}

// compose makes the line of an event. Times never decrease in a recording, whatever the
// clock does.
func (c *Writer) compose(at time.Time, code, data string) {
	c.last = max(c.last, at.Sub(c.start))
	c.line.Reset()
	c.line.WriteByte('[')
	c.line.Write(strconv.AppendFloat(c.line.AvailableBuffer(), c.last.Seconds(), 'f', 6, 64))
	c.line.WriteString(`, "` + code + `", `)
	c.encode(data)
	c.line.WriteString("]\n")
}

// encode appends v to the line as JSON, with <, > and & unescaped.
func (c *Writer) encode(v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("cast: internal error: " + err.Error()) // strings and numbers only
	}
	c.line.Write(EscapeControls(bytes.TrimSuffix(b.Bytes(), []byte("\n"))))
}

// writeLine writes the line of an event with n bytes of data. If none of it can be
// written, the event is lost; if only a part can, the rest precedes the next line.
func (c *Writer) writeLine(n int) error {
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
