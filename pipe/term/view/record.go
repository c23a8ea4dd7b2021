package view

import (
	"encoding/json"
	"io"
	"time"

	"mesh/pipe/term/cast"
	"mesh/proto/wire"
)

// recording writes a recording that begins with the current screen.
type recording struct {
	w          io.Writer
	name       string
	cols, rows int
	c          *cast.Writer // nil before the first snapshot
}

func (r *recording) convert(m any) error {
	now := time.Now()
	switch m := m.(type) {
	case *wire.TermSession:
		r.name = m.Name
	case wire.TermSnapshot:
		if err := r.snapshot(now, m); err != nil {
			return err
		}
		return r.c.Output(now, m.Repaint)
	}
	if r.c == nil {
		return nil
	}
	switch m := m.(type) {
	case output:
		return r.c.Output(now, m.data)
	case *wire.TermResize:
		return r.resize(now, m.Cols, m.Rows)
	case *wire.TermMark:
		return r.c.Mark(now, m.Text)
	}
	return nil
}

// snapshot begins the recording, or changes its size to that of a snapshot.
func (r *recording) snapshot(now time.Time, s wire.TermSnapshot) error {
	if r.c != nil {
		return r.resize(now, s.Cols, s.Rows)
	}
	var err error
	r.c, err = cast.NewWriter(r.w, cast.Header{Cols: s.Cols, Rows: s.Rows, Start: now, Title: r.name})
	r.cols, r.rows = s.Cols, s.Rows
	return err
}

func (r *recording) resize(now time.Time, cols, rows int) error {
	if cols == r.cols && rows == r.rows {
		return nil
	}
	r.cols, r.rows = cols, rows
	return r.c.Resize(now, cols, rows)
}

func (r *recording) end() error {
	if r.c == nil {
		return nil
	}
	return r.c.Close(time.Now())
}

// objects writes a JSON object on a line for each message.
type objects struct {
	w    io.Writer
	data cast.UTF8
}

// object is one of them. Event is session, output, snapshot, resize, mark, status or
// exit, and determines the other fields. Data is output as valid UTF-8: a character is
// in the event in which it ends.
type object struct {
	Event   string    `json:"event"`
	Time    time.Time `json:"time"`
	Seq     *int64    `json:"seq,omitempty"`
	Session string    `json:"session,omitempty"`
	Name    string    `json:"name,omitempty"`
	Rights  string    `json:"rights,omitempty"`
	Cols    int       `json:"cols,omitempty"`
	Rows    int       `json:"rows,omitempty"`
	Data    *string   `json:"data,omitempty"`
	Text    string    `json:"text,omitempty"`
	Viewers *int      `json:"viewers,omitempty"`
	Writers []string  `json:"writers,omitempty"`
	Paused  bool      `json:"paused,omitempty"`
	Code    *int      `json:"code,omitempty"`
	Signal  int       `json:"signal,omitempty"`
}

func (o *objects) convert(m any) error {
	e := object{Time: time.Now().UTC()}
	switch m := m.(type) {
	case *wire.TermSession:
		e.Event, e.Seq, e.Session, e.Name, e.Rights, e.Cols, e.Rows = "session", &m.Seq, m.Session.String(), m.Name, m.Rights, m.Cols, m.Rows
	case output:
		data := o.data.Decode(m.data)
		e.Event, e.Seq, e.Data = "output", &m.seq, &data
	case wire.TermSnapshot:
		data := o.data.Flush() + o.data.Decode(m.Repaint)
		e.Event, e.Seq, e.Cols, e.Rows, e.Data = "snapshot", &m.Seq, m.Cols, m.Rows, &data
	case *wire.TermResize:
		e.Event, e.Seq, e.Cols, e.Rows = "resize", &m.Seq, m.Cols, m.Rows
	case *wire.TermMark:
		e.Event, e.Seq, e.Text = "mark", &m.Seq, m.Text
	case *wire.TermCtl:
		e.Event, e.Viewers, e.Writers, e.Rights, e.Paused, e.Text = "status", &m.Viewers, m.Writers, m.Rights, m.Paused, m.Notice
	case *wire.TermExit:
		e.Event, e.Seq, e.Code, e.Signal = "exit", &m.Seq, &m.Code, m.Signal
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = o.w.Write(append(cast.EscapeControls(line), '\n'))
	return err
}

func (o *objects) end() error { return nil }
