package handoff

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"mesh/pipe"
	"mesh/pipe/digest"
	"mesh/pipe/files"
	"mesh/pipe/local"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/node"
)

// Delivery is the consumer's side of a delivery.
type Delivery struct {
	// Kind is [wire.KindPipe] or [wire.KindFiles].
	Kind  string
	Minor int // of the link: see [mesh/proto/link.Link]
	Party node.Party
	// Counters count the bytes as they arrive.
	Counters pipe.Counters

	conn  *conn
	begun time.Time
	hash  *digest.Hasher
}

// Next waits for the next delivery of one of the kinds from the daemon with the socket
// at path. It blocks until there is one or ctx ends. It calls waiting once it is in the
// daemon's queue. Without a daemon the error has the code [proto.Unreachable].
func Next(ctx context.Context, path string, kinds []string, waiting func()) (*Delivery, error) {
	c, err := local.Dial(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		return nil, proto.Errorf(proto.Unreachable, "no mesh-listen --inbox runs here")
	case err != nil:
		return nil, proto.IOError(err)
	}
	d := &Delivery{conn: newConn(c), hash: digest.New()}
	if err := d.await(ctx, kinds, waiting); err != nil {
		_ = c.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	d.begun = time.Now()
	return d, nil
}

func (d *Delivery) await(ctx context.Context, kinds []string, waiting func()) error {
	stop := context.AfterFunc(ctx, func() { _ = d.conn.Close() })
	defer stop()
	var g give
	err := d.conn.writeMessage(typeWant, want{kinds})
	if err == nil {
		err = d.conn.readMessage(typeWaiting, nil)
	}
	if err == nil {
		waiting()
		err = d.conn.readMessage(typeGive, &g)
	}
	if err != nil {
		return proto.Errorf(proto.Unreachable, "mesh-listen --inbox ended before a delivery arrived")
	}
	if !slices.Contains(kinds, g.Kind) {
		return proto.Errorf(proto.Protocol, "mesh-listen --inbox gave a delivery of kind %s, which was not asked for", proto.QuoteText(g.Kind))
	}
	d.Kind, d.Minor, d.Party = g.Kind, g.Minor, g.Party
	if d.conn.writeFrame(typeReady, nil) != nil {
		return errDaemonGone
	}
	return nil
}

var errDaemonGone = proto.Errorf(proto.Truncated, "mesh-listen --inbox ended before all had arrived")

// End refuses a delivery with err.
func (d *Delivery) End(err error) {
	d.sendResult(files.Summary{}, err)
	_ = d.conn.Close()
}

// Pipe writes a pipe to a sink. It returns the receipt if the sink took all of it.
func (d *Delivery) Pipe(ctx context.Context, sink *pipe.Sink) (*pipe.Receipt, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := d.closeAfter(ctx)
	defer stop()
	stopWatch := sink.WatchLoss(ctx, fail)
	status, err := d.copyTo(sink)
	stopWatch()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	d.sendResult(files.Summary{}, err)
	if err != nil {
		return nil, err
	}
	r := d.receipt(status)
	err = d.awaitResult(r)
	if status != 0 {
		return r, proto.Errorf(proto.Producer, "the peer's command ended with status %d: its data is not to be trusted", status)
	}
	return r, err
}

// copyTo writes all data to the sink and returns the exit status of the producer.
func (d *Delivery) copyTo(sink *pipe.Sink) (int, error) {
	for {
		typ, body, err := d.conn.readFrame()
		if err != nil {
			return 0, errDaemonGone
		}
		switch typ {
		case typeData:
			n, err := sink.Write(body)
			d.count(body[:n])
			if err != nil {
				return 0, proto.IOError(err)
			}
		case typeEnd:
			var e end
			if err := json.Unmarshal(body, &e); err != nil {
				return 0, errDaemonGone
			}
			if sink.Finish != nil {
				if err := sink.Finish(e.Status); err != nil {
					return 0, proto.IOError(err)
				}
			}
			return e.Status, nil
		default:
			return 0, failureOf(typ, body)
		}
	}
}

// failureOf returns the error in a frame that is not data: a result before the end.
func failureOf(typ wire.Type, body []byte) error {
	var r result
	if typ != typeResult || json.Unmarshal(body, &r) != nil || r.Code == proto.OK {
		return errDaemonGone
	}
	return r.err()
}

// Files runs side, the receiver of a transfer of files.
func (d *Delivery) Files(ctx context.Context, side func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error)) (files.Summary, *pipe.Receipt, error) {
	stop := d.closeAfter(ctx)
	defer stop()
	from, to := io.Pipe()
	done := make(chan struct{}) // closed by the goroutine
	go func() {
		defer close(done)
		_ = to.CloseWithError(d.forward(to))
	}()
	sum, err := side(ctx, from, d.conn)
	if err != nil {
		if _, ok := errors.AsType[*files.Incomplete](err); !ok {
			_ = from.CloseWithError(err)
			d.sendResult(sum, err)
			_ = d.conn.Close()
			<-done
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return sum, nil, files.Outcome(err)
		}
	}
	<-done // side has read to the end
	if d.conn.writeMessage(typeEnd, end{}) == nil {
		d.sendResult(sum, err)
	}
	r := d.receipt(0)
	return sum, r, cmp.Or(err, d.awaitResult(r))
}

// forward copies the data to the receiver, up to its end.
func (d *Delivery) forward(to io.Writer) error {
	for {
		typ, body, err := d.conn.readFrame()
		if err != nil {
			return errDaemonGone
		}
		switch typ {
		case typeData:
			if _, err := to.Write(body); err != nil {
				return err
			}
			d.count(body)
		case typeEnd:
			return nil
		default:
			return failureOf(typ, body)
		}
	}
}

// closeAfter closes the socket when ctx ends.
func (d *Delivery) closeAfter(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = d.conn.Close() })
}

func (d *Delivery) count(p []byte) {
	_, _ = d.hash.Write(p) // never fails
	d.Counters.Received.Add(int64(len(p)))
}

// sendResult tells the daemon how the delivery ended here.
func (d *Delivery) sendResult(sum files.Summary, err error) {
	_ = d.conn.SetWriteDeadline(time.Now().Add(answerTimeout))
	_ = d.conn.writeMessage(typeResult, resultOf(sum, err))
}

// awaitResult waits for the daemon's result of the transfer, and adds to the receipt over what
// it ran. If the daemon has ended by then, that is no error: all data arrived, and was right.
func (d *Delivery) awaitResult(to *pipe.Receipt) error {
	defer d.conn.Close()
	var r result
	if d.conn.readMessage(typeResult, &r) != nil {
		return nil
	}
	if c := r.Course; c != nil {
		to.Via, to.Path, to.MaxBPS, to.Paths, to.Flows = c.Via, c.Path, c.MaxBPS, c.Paths, c.Flows
	}
	return r.err()
}

func (d *Delivery) receipt(status int) *pipe.Receipt {
	return &pipe.Receipt{
		Transfer: d.Party.Transfer, Bytes: d.Counters.Received.Load(), Digest: d.hash.Sum(),
		Status: status, Elapsed: time.Since(d.begun), Via: d.Party.Via, Path: d.Party.Path, Flows: 1,
	}
}
