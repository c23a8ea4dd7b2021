package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"mesh/proto"
)

// The frames of a shared terminal, which are the bytes of its two transfers. See
// "Terminals" in package proto for their order.
const (
	TypeTermOpen     Type = 0x30
	TypeTermIn       Type = 0x31
	TypeTermAck      Type = 0x32
	TypeTermSession  Type = 0x38
	TypeTermOut      Type = 0x39
	TypeTermSnapshot Type = 0x3a
	TypeTermResize   Type = 0x3b
	TypeTermMark     Type = 0x3c
	TypeTermCtl      Type = 0x3d
	TypeTermExit     Type = 0x3e
	TypeTermIdle     Type = 0x3f
)

// The modes of a [TermOpen].
const (
	TermScreen = "screen" // the screen as it is; output that the viewer is too slow for is left out
	TermRaw    = "raw"    // every byte of output, as far as the sharer still holds it
	TermRecord = "record" // the screen as it is, and from then on the same as in raw
)

// TermOpen is TERM_OPEN, a viewer's first frame.
type TermOpen struct {
	Mode string `json:"mode"`
	// Scrollback is how many lines above the screen the first TERM_SNAPSHOT should
	// contain, up to [proto.MaxTermScrollback].
	Scrollback int `json:"scrollback,omitempty"`
	// History asks for all output that the sharer still holds. Mode raw only.
	History bool `json:"history,omitempty"`
	// Cols and Rows are the size of the viewer's own terminal; 0 for none.
	Cols int    `json:"cols,omitempty"`
	Rows int    `json:"rows,omitempty"`
	Name string `json:"name,omitempty"` // the name that the viewer gives itself
	// Idle asks for TERM_IDLE. It is for peers of minor version 1.
	Idle bool `json:"idle,omitempty"`
}

// TermSession is TERM_SESSION, the sharer's first frame.
type TermSession struct {
	// Session is 16 random bytes, which differ between sessions.
	Session TransferID `json:"session"`
	Name    string     `json:"name,omitempty"`
	Rights  string     `json:"rights"` // capabilities, as [proto.Caps] prints them
	Seq     int64      `json:"seq"`    // position of the first byte that follows
	Cols    int        `json:"cols"`
	Rows    int        `json:"rows"`
}

// TermResize is TERM_RESIZE. From the sharer: the terminal has this size from Seq
// on. From a viewer that may type: its own terminal has this size, and Seq is 0.
type TermResize struct {
	Seq  int64 `json:"seq"`
	Cols int   `json:"cols"`
	Rows int   `json:"rows"`
}

// TermMark is TERM_MARK, a position in the output that a user has marked.
type TermMark struct {
	Seq  int64  `json:"seq"`
	Text string `json:"text,omitempty"`
}

// TermExit is TERM_EXIT, the sharer's last frame.
type TermExit struct {
	Seq int64 `json:"seq"` // how many bytes of output there were
	// Code is the command's exit status, 0 to 255, or 128 plus Signal.
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"`
}

// TermCtl is TERM_CTL: the state of the session beside its output. The sharer sends
// all of it each time. A viewer sends Ask alone.
type TermCtl struct {
	Viewers int `json:"viewers"`
	// Rights are what the viewer may do from now on, as in [TermSession]; "" changes
	// nothing.
	Rights string `json:"rights,omitempty"`
	// Ask from a viewer asks for the right to type. From the sharer it means that
	// this viewer has asked and has no answer yet.
	Ask bool `json:"ask,omitempty"`
	// Writers are the names of the viewers that typed recently.
	Writers []string `json:"writers,omitempty"`
	// Paused means that the sharer withholds the output.
	Paused bool `json:"paused,omitempty"`
	// Notice is a line of text for the viewer's user.
	Notice string `json:"notice,omitempty"`
	// Typed is how many bytes of this viewer's TERM_INs the terminal has taken so
	// far, and Seq the position of the output at that time.
	Typed int64 `json:"typed,omitempty"`
	Seq   int64 `json:"seq,omitempty"`
}

// TermIdle is TERM_IDLE: the programs that the viewer's input has started have ended or
// run in the background, as far as the sharer knows.
type TermIdle struct {
	// Typed is how many bytes of this viewer's TERM_INs the terminal had taken by then, and
	// Seq the position of the output.
	Typed int64 `json:"typed"`
	Seq   int64 `json:"seq"`
}

// TermAck is TERM_ACK: the viewer has shown all output before Seq.
type TermAck struct {
	Seq int64 `json:"seq"`
}

// Type implements [Message].
func (*TermOpen) Type() Type { return TypeTermOpen }

// Type implements [Message].
func (*TermSession) Type() Type { return TypeTermSession }

// Type implements [Message].
func (*TermResize) Type() Type { return TypeTermResize }

// Type implements [Message].
func (*TermMark) Type() Type { return TypeTermMark }

// Type implements [Message].
func (*TermExit) Type() Type { return TypeTermExit }

// Type implements [Message].
func (*TermCtl) Type() Type { return TypeTermCtl }

// Type implements [Message].
func (*TermIdle) Type() Type { return TypeTermIdle }

// Type implements [Message].
func (*TermAck) Type() Type { return TypeTermAck }

func (m *TermOpen) check() error {
	switch {
	case m.Mode != TermScreen && m.Mode != TermRaw && m.Mode != TermRecord:
		return errors.New("unknown mode")
	case m.History && m.Mode != TermRaw:
		return errors.New("history is for mode raw only")
	case m.Scrollback < 0 || m.Scrollback > proto.MaxTermScrollback:
		return errRange
	}
	if m.Cols != 0 || m.Rows != 0 {
		if err := checkTermSize(m.Cols, m.Rows); err != nil {
			return err
		}
	}
	return checkText(m.Name, proto.MaxTermNameBytes)
}

func (m *TermSession) check() error {
	if m.Seq < 0 {
		return errRange
	}
	if err := checkTermRights(m.Rights); err != nil {
		return err
	}
	if err := checkTermSize(m.Cols, m.Rows); err != nil {
		return err
	}
	return checkText(m.Name, proto.MaxTermNameBytes)
}

func (m *TermResize) check() error {
	if m.Seq < 0 {
		return errRange
	}
	return checkTermSize(m.Cols, m.Rows)
}

func (m *TermMark) check() error {
	if m.Seq < 0 {
		return errRange
	}
	return checkText(m.Text, proto.MaxTermTextBytes)
}

func (m *TermExit) check() error {
	if m.Seq < 0 || m.Code < 0 || m.Code > 255 || m.Signal < 0 || m.Signal > 127 || m.Signal > 0 && m.Code != 128+m.Signal {
		return errRange
	}
	return nil
}

func (m *TermCtl) check() error {
	if m.Viewers < 0 || len(m.Writers) > proto.MaxTermWriters || m.Typed < 0 || m.Seq < 0 {
		return errRange
	}
	if m.Rights != "" {
		if err := checkTermRights(m.Rights); err != nil {
			return err
		}
	}
	for _, name := range m.Writers {
		if err := checkText(name, proto.MaxTermNameBytes); err != nil {
			return err
		}
	}
	return checkText(m.Notice, proto.MaxTermTextBytes)
}

func (m *TermIdle) check() error {
	if m.Typed < 0 || m.Seq < 0 {
		return errRange
	}
	return nil
}

func (m *TermAck) check() error {
	if m.Seq < 0 {
		return errRange
	}
	return nil
}

func checkTermRights(s string) error {
	caps, err := proto.ParseCaps(s)
	if err != nil || caps.String() != s || !caps.Has(proto.CapTTYView) {
		return errors.New("not the rights of a viewer")
	}
	return nil
}

func checkTermSize(cols, rows int) error {
	if cols < 1 || rows < 1 || cols > proto.MaxTermCols || rows > proto.MaxTermRows {
		return fmt.Errorf("size of %d x %d", cols, rows)
	}
	return nil
}

func checkText(s string, maxBytes int) error {
	if len(s) > maxBytes || !utf8.ValidString(s) {
		return fmt.Errorf("text of %d bytes", len(s))
	}
	return nil
}

// AppendTermOut appends a whole TERM_OUT frame. data has 1 to
// [proto.MaxTermOutBytes]; seq is the position of its first byte.
func AppendTermOut(dst []byte, seq int64, data []byte) []byte {
	if seq < 0 || len(data) == 0 || len(data) > proto.MaxTermOutBytes {
		panic("wire: internal error: output out of range")
	}
	dst = AppendHeader(dst, Header{TypeTermOut, proto.TermOutHeaderBytes + len(data)})
	dst = binary.BigEndian.AppendUint64(dst, uint64(seq))
	return append(dst, data...)
}

// ParseTermOut parses the body of a TERM_OUT. The data shares its memory.
func ParseTermOut(body []byte) (seq int64, data []byte, err error) {
	if len(body) <= proto.TermOutHeaderBytes || len(body) > proto.TermOutHeaderBytes+proto.MaxTermOutBytes {
		return 0, nil, malformed("%s of %d bytes", TypeTermOut, len(body))
	}
	data = body[proto.TermOutHeaderBytes:]
	if seq, err = parseSeq(TypeTermOut, body, len(data)); err != nil {
		return 0, nil, err
	}
	return seq, data, nil
}

// TermSnapshot is TERM_SNAPSHOT: written to any terminal of its size, Repaint brings
// it into the state that all output before Seq would have produced.
type TermSnapshot struct {
	Seq        int64
	Cols, Rows int
	Repaint    []byte // up to [proto.MaxTermSnapshotBytes]
}

// AppendTermSnapshot appends the whole frame.
func AppendTermSnapshot(dst []byte, s TermSnapshot) []byte {
	if s.Seq < 0 || checkTermSize(s.Cols, s.Rows) != nil || len(s.Repaint) > proto.MaxTermSnapshotBytes {
		panic("wire: internal error: snapshot out of range")
	}
	dst = AppendHeader(dst, Header{TypeTermSnapshot, proto.TermSnapshotHeaderBytes + len(s.Repaint)})
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Seq))
	dst = binary.BigEndian.AppendUint16(dst, uint16(s.Cols))
	dst = binary.BigEndian.AppendUint16(dst, uint16(s.Rows))
	return append(dst, s.Repaint...)
}

// ParseTermSnapshot parses the body of a TERM_SNAPSHOT. Repaint shares its memory.
func ParseTermSnapshot(body []byte) (TermSnapshot, error) {
	if len(body) < proto.TermSnapshotHeaderBytes || len(body) > proto.TermSnapshotHeaderBytes+proto.MaxTermSnapshotBytes {
		return TermSnapshot{}, malformed("%s of %d bytes", TypeTermSnapshot, len(body))
	}
	seq, err := parseSeq(TypeTermSnapshot, body, 0)
	if err != nil {
		return TermSnapshot{}, err
	}
	s := TermSnapshot{
		Seq:     seq,
		Cols:    int(binary.BigEndian.Uint16(body[8:])),
		Rows:    int(binary.BigEndian.Uint16(body[10:])),
		Repaint: body[proto.TermSnapshotHeaderBytes:],
	}
	if err := checkTermSize(s.Cols, s.Rows); err != nil {
		return TermSnapshot{}, malformed("%s: %w", TypeTermSnapshot, err)
	}
	return s, nil
}

// parseSeq parses the position at the start of a body. n bytes of output follow that
// position and must not go beyond the largest one.
func parseSeq(t Type, body []byte, n int) (int64, error) {
	u := binary.BigEndian.Uint64(body)
	if u > proto.MaxTransferBytes-uint64(n) {
		return 0, malformed("%s beyond the largest offset", t)
	}
	return int64(u), nil
}

// AppendTermIn appends a whole TERM_IN frame. keys has 1 to [proto.MaxTermInBytes].
func AppendTermIn(dst, keys []byte) []byte {
	if len(keys) == 0 || len(keys) > proto.MaxTermInBytes {
		panic("wire: internal error: input out of range")
	}
	return append(AppendHeader(dst, Header{TypeTermIn, len(keys)}), keys...)
}

// CheckTermIn checks the body of a TERM_IN, which is the keys and nothing else.
func CheckTermIn(body []byte) error {
	if len(body) == 0 || len(body) > proto.MaxTermInBytes {
		return malformed("%s of %d bytes", TypeTermIn, len(body))
	}
	return nil
}
