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
	"mesh/tools/node"
)

// Delivery is what a taker was given.
type Delivery struct {
	// Kind is [wire.KindPipe] or [wire.KindFiles].
	Kind  string
	Party node.Party
	// Counters count while it comes.
	Counters pipe.Counters

	conn  *conn
	begun time.Time
	hash  *digest.Hasher
}

// Next waits for the next delivery of one of the kinds that the daemon with the
// socket at path has not given to anybody else. It blocks until there is one or
// ctx ends, and calls waiting when the next one will be ours. That no daemon is
// there is an error with code [proto.Unreachable].
func Next(ctx context.Context, path string, kinds []string, waiting func()) (*Delivery, error) {
	c, err := local.Dial(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		return nil, proto.Errorf(proto.Unreachable, "no mesh-listen --inbox runs here")
	case err != nil:
		return nil, proto.IOError(err)
	}
	d := &Delivery{conn: newConn(c), hash: digest.New()}
	if err := d.wait(ctx, kinds, waiting); err != nil {
		_ = c.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	d.begun = time.Now()
	return d, nil
}

func (d *Delivery) wait(ctx context.Context, kinds []string, waiting func()) error {
	stop := context.AfterFunc(ctx, func() { _ = d.conn.Close() })
	defer stop()
	var g give
	err := d.conn.message(typeWant, want{kinds})
	if err == nil {
		err = d.conn.expect(typeWaiting, nil)
	}
	if err == nil {
		waiting()
		err = d.conn.expect(typeGive, &g)
	}
	if err != nil {
		return proto.Errorf(proto.Unreachable, "mesh-listen --inbox ended before a delivery came")
	}
	if !slices.Contains(kinds, g.Kind) {
		return proto.Errorf(proto.Protocol, "mesh-listen --inbox gives what was not asked for")
	}
	d.Kind, d.Party = g.Kind, g.Party
	if d.conn.send(typeReady, nil) != nil {
		return errLost
	}
	return nil
}

var errLost = proto.Errorf(proto.Truncated, "mesh-listen --inbox is gone before all had come")

// End ends a delivery that is not taken after all.
func (d *Delivery) End(err error) {
	d.tell(files.Summary{}, err)
	_ = d.conn.Close()
}

// Pipe writes a pipe to a sink. The receipt is that of what the sink took whole.
func (d *Delivery) Pipe(ctx context.Context, sink *pipe.Sink) (*pipe.Receipt, error) {
	stop := d.bind(ctx)
	defer stop()
	status, err := d.consume(sink)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	d.tell(files.Summary{}, err)
	if err != nil {
		return nil, err
	}
	r := d.receipt(status)
	if status != 0 {
		return r, proto.Errorf(proto.Producer, "the peer's command ended with status %d: its data is not to be trusted", status)
	}
	return r, d.ended()
}

// consume brings all to the sink, and returns the producer's exit status.
func (d *Delivery) consume(sink *pipe.Sink) (int, error) {
	for {
		typ, body, err := d.conn.next()
		if err != nil {
			return 0, errLost
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
				return 0, errLost
			}
			if sink.Finish != nil {
				if err := sink.Finish(e.Status); err != nil {
					return 0, proto.IOError(err)
				}
			}
			return e.Status, nil
		default:
			return 0, failure(typ, body)
		}
	}
}

// failure is what a frame says that is no data.
func failure(typ byte, body []byte) error {
	var r result
	if typ != typeResult || json.Unmarshal(body, &r) != nil || r.Code == proto.OK {
		return errLost
	}
	return r.err()
}

// Files runs the receiving side of a transfer of files.
func (d *Delivery) Files(ctx context.Context, side func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error)) (files.Summary, *pipe.Receipt, error) {
	stop := d.bind(ctx)
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
			d.tell(sum, err)
			_ = d.conn.Close()
			<-done
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return sum, nil, err
		}
	}
	<-done // the side has read to the end
	if d.conn.message(typeEnd, end{}) == nil {
		d.tell(sum, err)
	}
	return sum, d.receipt(0), cmp.Or(err, d.ended())
}

// forward brings what comes to a side, up to its end.
func (d *Delivery) forward(to io.Writer) error {
	for {
		typ, body, err := d.conn.next()
		if err != nil {
			return errLost
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
			return failure(typ, body)
		}
	}
}

// bind closes the socket when ctx ends.
func (d *Delivery) bind(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = d.conn.Close() })
}

func (d *Delivery) count(p []byte) {
	_, _ = d.hash.Write(p) // never fails
	d.Counters.Received.Add(int64(len(p)))
}

// tell tells the daemon how it went here.
func (d *Delivery) tell(sum files.Summary, err error) {
	_ = d.conn.SetWriteDeadline(time.Now().Add(patience))
	_ = d.conn.message(typeResult, resultOf(sum, err))
}

// ended waits for the end of the transfer. A daemon that is gone by then has
// nothing to say any more: all is here, and right.
func (d *Delivery) ended() error {
	defer d.conn.Close()
	var r result
	if d.conn.expect(typeResult, &r) != nil {
		return nil
	}
	return r.err()
}

func (d *Delivery) receipt(status int) *pipe.Receipt {
	return &pipe.Receipt{
		Transfer: d.Party.Transfer, Bytes: d.Counters.Received.Load(), Digest: d.hash.Sum(),
		Status: status, Elapsed: time.Since(d.begun), Via: d.Party.Via, Path: d.Party.Path, Flows: 1,
	}
}
