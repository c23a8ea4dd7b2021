package share

import (
	"fmt"
	"sync/atomic"
	"time"

	"mesh/pipe/term/cast"
	"mesh/pipe/term/vt"
	"mesh/proto"
)

// scrollback is how many lines above the screen a viewer that joins can get.
const scrollback = proto.MaxTermScrollback

// setLNM sets LNM (ECMA-48 7.2.12): a line feed begins a new line.
const setLNM = "\x1b[20h"

// output is all that a session shows: the stream that viewers follow, the emulator's
// screen, and the recording.
type output struct {
	options *Options // read only

	stream stream
	gap    atomic.Bool // the recording lacks something now

	// order is held while something is added, so that the stream, the emulator and the
	// recording have everything in the same order. It guards what follows.
	order        fairMutex
	emulator     *vt.Terminal
	replies      []byte    // of the emulator to the program
	purge        bool      // delete the emulator's scrollback as soon as possible
	latest       snapshot  // the last one of the screen alone
	scrolled     snapshot  // the last one with lines above the screen
	nextScrolled time.Time // when another one with lines above may be taken
	newlines     newlines  // for the recording
	recordErr    error     // the first failure of the recording
}

func newOutput(o *Options) *output {
	out := &output{options: o, emulator: vt.New(o.Cols, o.Rows, scrollback)}
	out.stream.init(o.Cols, o.Rows, o.History)
	if o.Lines {
		_, _ = out.emulator.Write([]byte(setLNM)) // never fails; snapshots have the mode
	}
	if o.Answers {
		out.emulator.Answer = func(p []byte) { out.replies = append(out.replies, p...) }
	}
	return out
}

// write adds what the command printed, and returns the emulator's replies to it.
func (o *output) write(p []byte) (replies []byte) {
	o.order.Lock()
	defer o.order.Unlock()
	o.stream.append(p)
	_, _ = o.emulator.Write(p) // never fails
	o.purgeScrollback()
	o.record(func(c *cast.Writer) error {
		if o.options.Lines {
			p = o.newlines.convert(p)
		}
		return c.Output(time.Now(), p)
	})
	replies, o.replies = o.replies, nil
	return replies
}

// resize gives the terminal another size, on behalf of a typist.
func (o *output) resize(by *typist, cols, rows int) {
	cols, rows = ClampSize(cols, rows)
	o.order.Lock()
	defer o.order.Unlock()
	if o.stream.keepsSize(cols, rows) {
		return
	}
	if o.options.Resize != nil {
		if err := o.options.Resize(cols, rows); err != nil {
			o.options.Log.Warn("terminal keeps its size", "err", err)
			return
		}
	}
	o.stream.resize(cols, rows)
	o.emulator.Resize(cols, rows)
	o.record(func(c *cast.Writer) error { return c.Resize(time.Now(), cols, rows) })
	o.options.Audit.write(audited{Event: "resize", PeerID: by.id, Peer: by.label, Addr: by.addr, Cols: cols, Rows: rows})
}

func (o *output) mark(text string) {
	o.order.Lock()
	defer o.order.Unlock()
	o.stream.mark(text)
	o.record(func(c *cast.Writer) error { return c.Mark(time.Now(), text) })
}

func (o *output) exit(code, signal int) {
	o.order.Lock()
	defer o.order.Unlock()
	o.stream.end(code, signal)
	o.record(func(c *cast.Writer) error { return c.Close(time.Now()) })
	o.options.Audit.write(audited{Event: "exit", Code: &code})
}

// pause begins or ends a pause, and reports whether that changes anything. What came
// during a pause is in no snapshot afterwards, except what is on the screen.
func (o *output) pause(paused bool) (changed bool) {
	o.order.Lock()
	defer o.order.Unlock()
	if !o.stream.pause(paused) {
		return false
	}
	if !paused {
		o.latest, o.scrolled = snapshot{}, snapshot{}
		o.purge = true
		o.purgeScrollback()
	}
	return true
}

// purgeScrollback deletes the emulator's scrollback after a pause, as soon as the
// output is not within a sequence. It is called with order held.
func (o *output) purgeScrollback() {
	if o.purge && o.emulator.Ground() {
		_, _ = o.emulator.Write([]byte("\x1b[3J"))
		o.purge = false
	}
}

// record writes to the recording, if there is one. If that fails, the recording has a
// gap, with a mark in it, and the session goes on; [Options.Gap] is called. record is
// called with order held.
func (o *output) record(write func(*cast.Writer) error) {
	if o.options.Record == nil {
		return
	}
	err := write(o.options.Record)
	o.gap.Store(err != nil)
	if err != nil && o.recordErr == nil {
		o.recordErr = fmt.Errorf("a recording with a gap: %w", err)
	}
}

// recordingErr returns the first failure of the recording.
func (o *output) recordingErr() error {
	o.order.Lock()
	defer o.order.Unlock()
	return o.recordErr
}
