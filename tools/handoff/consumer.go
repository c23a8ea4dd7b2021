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

// Consumer is the daemon's side of a connection with a mesh-recv --next.
type Consumer struct {
	*conn
	kinds []string
	ready chan struct{} // closed by admit when the consumer is ready
	gone  chan struct{} // closed by admit when it has disconnected
}

var errConsumerGone = proto.Errorf(proto.Truncated, "mesh-recv --next ended before it had taken all")

// waitReady reports whether the consumer becomes ready in time.
func (c *Consumer) waitReady(ctx context.Context) bool {
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case <-c.ready:
		return true
	case <-c.gone:
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// Sink returns the consumer as the sink of a pipe. An error of the consumer before the
// end is also passed to fail: the sink may be idle then.
func (c *Consumer) Sink(fail func(error)) *pipe.Sink {
	ended := make(chan error, 1) // sent by the goroutine, which End stops
	go func() {
		err := c.readResult()
		ended <- err
		if err != nil {
			fail(err)
		}
	}()
	return &pipe.Sink{Writer: consumerWriter{c.conn}, Finish: func(status int) error {
		if err := c.writeMessage(typeEnd, end{status}); err != nil {
			return errConsumerGone
		}
		return <-ended
	}}
}

// consumerWriter gives a failed write its code.
type consumerWriter struct{ w io.Writer }

func (w consumerWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		return n, errConsumerGone
	}
	return n, nil
}

// readResult waits for the result of the consumer.
func (c *Consumer) readResult() error {
	var r result
	if err := c.readMessage(typeResult, &r); err != nil {
		return errConsumerGone
	}
	return r.err()
}

// Files lets the consumer receive the files of a transfer: it is the receiving side
// for [node.Node.Files].
func (c *Consumer) Files(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // End closes it
	defer stop()
	sent := make(chan error, 1) // sent by the goroutine
	go func() {
		_, err := io.CopyBuffer(consumerWriter{c.conn}, from, make([]byte, maxFrameBytes))
		if err == nil && c.writeMessage(typeEnd, end{}) != nil {
			err = errConsumerGone
		}
		sent <- err
	}()
	sum, err := c.forwardAnswers(to)
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

// forwardAnswers copies the answers of the consumer to the sender, up to its result.
func (c *Consumer) forwardAnswers(to io.Writer) (files.Summary, error) {
	for {
		typ, body, err := c.readFrame()
		if err != nil {
			return files.Summary{}, errConsumerGone
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
				return files.Summary{}, errConsumerGone
			}
			return r.Summary, r.err()
		default:
			return files.Summary{}, errConsumerGone
		}
	}
}

// End tells the consumer how the transfer ended, and over what it ran if there is a receipt,
// and closes the connection.
func (c *Consumer) End(receipt *pipe.Receipt, err error) {
	r := resultOf(files.Summary{}, err)
	if receipt != nil {
		r.Course = &course{receipt.Via, receipt.Path, receipt.MaxBPS, receipt.Paths, receipt.Flows}
	}
	_ = c.SetWriteDeadline(time.Now().Add(answerTimeout))
	_ = c.writeMessage(typeResult, r)
	_ = c.Close()
}

func resultOf(sum files.Summary, err error) result {
	r := result{Code: proto.CodeOf(err), Summary: sum}
	if r.Code >= 128 { // a signal of one process is a truncation for the other
		r.Code = proto.Truncated
	}
	if err != nil {
		r.Text = err.Error()
		_, r.Incomplete = errors.AsType[*files.Incomplete](err)
	}
	return r
}

// err returns the error that a result describes.
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
