package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
)

// Taker is a mesh-recv --next.
type Taker struct {
	*conn
	kinds []string
	ready chan struct{} // closed when it has said so
	gone  chan struct{} // closed when it can't any more
}

var errGone = proto.Errorf(proto.Truncated, "mesh-recv --next is gone and has not taken all")

// Sink is the taker as the sink of a pipe. What makes it fail before the end is
// told to fail too, since nothing may be on its way then.
func (t *Taker) Sink(fail func(error)) *pipe.Sink {
	ended := make(chan error, 1) // by the goroutine, which Ended ends
	go func() {
		_, err := t.result()
		ended <- err
		if err != nil {
			fail(err)
		}
	}()
	return &pipe.Sink{Writer: gone{t.conn}, Finish: func(status int) error {
		if err := t.message(typeEnd, end{status}); err != nil {
			return errGone
		}
		return <-ended
	}}
}

// gone gives a failed write its code.
type gone struct{ w io.Writer }

func (g gone) Write(p []byte) (int, error) {
	n, err := g.w.Write(p)
	if err != nil {
		return n, errGone
	}
	return n, nil
}

// result waits for the taker's.
func (t *Taker) result() (files.Summary, error) {
	var r result
	if err := t.expect(typeResult, &r); err != nil {
		return files.Summary{}, errGone
	}
	return r.Summary, r.err()
}

// err is the error that a result stands for.
func (r result) err() error {
	if r.Code == proto.OK {
		return nil
	}
	err := proto.Errorf(r.Code, "%s", proto.EscapeText(r.Text))
	if r.Incomplete {
		return &files.Incomplete{Err: err}
	}
	return err
}

// Files is the taker as the receiver of files, for [node.Node.Files].
func (t *Taker) Files(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
	stop := context.AfterFunc(ctx, func() { _ = t.SetDeadline(time.Unix(1, 0)) }) // Ended closes it
	defer stop()
	sent := make(chan error, 1) // by the goroutine below
	go func() {
		_, err := io.CopyBuffer(gone{t.conn}, from, make([]byte, maxFrameBytes))
		if err == nil && t.message(typeEnd, end{}) != nil {
			err = errGone
		}
		sent <- err
	}()
	sum, err := t.answers(to)
	if err == nil {
		select {
		case err = <-sent:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return sum, err
}

// answers brings what the taker answers to the sender, up to its result.
func (t *Taker) answers(to io.Writer) (files.Summary, error) {
	for {
		typ, body, err := t.next()
		if err != nil {
			return files.Summary{}, errGone
		}
		switch typ {
		case typeData:
			if _, err := to.Write(body); err != nil {
				return files.Summary{}, err
			}
		case typeEnd:
		case typeResult:
			var r result
			if err := json.Unmarshal(body, &r); err != nil {
				return files.Summary{}, errGone
			}
			return r.Summary, r.err()
		default:
			return files.Summary{}, errGone
		}
	}
}

// Ended tells the taker how the transfer has ended, and closes the socket.
func (t *Taker) Ended(err error) {
	_ = t.SetWriteDeadline(time.Now().Add(patience))
	_ = t.message(typeResult, resultOf(files.Summary{}, err))
	_ = t.Close()
}

func resultOf(sum files.Summary, err error) result {
	r := result{Code: proto.CodeOf(err), Summary: sum}
	if r.Code >= 128 { // a signal is a matter of the one who got it
		r.Code = proto.Truncated
	}
	if err != nil {
		r.Text = err.Error()
		_, r.Incomplete = errors.AsType[*files.Incomplete](err)
	}
	return r
}
