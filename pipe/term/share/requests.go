package share

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"mesh/pipe/local"
	"mesh/proto"
)

const (
	// maxRequest bounds a request, and maxReply a reply, in bytes.
	maxRequest = 4 << 10
	maxReply   = 1 << 20
	// requestTime bounds the time of one request and its reply.
	requestTime = 5 * time.Second
)

// Request is a request to a session through its socket, which only the sharing user can
// open.
type Request struct {
	Do string `json:"do"` // list, grant, revoke, kick, pause, resume, mark, token
	// Who is a viewer's number, name or node id; for revoke, "" means all.
	Who  string `json:"who,omitempty"`
	Text string `json:"text,omitempty"` // of a mark
	// Inside says that the request comes from the shared terminal, where viewers see what
	// is printed. Then tokens are shown to the sharer alone.
	Inside bool `json:"inside,omitempty"`
}

// Reply is the reply to a [Request].
type Reply struct {
	Error   string     `json:"error,omitempty"`
	Code    proto.Code `json:"code,omitempty"`
	Viewers []Info     `json:"viewers,omitempty"`
	Paused  bool       `json:"paused,omitempty"`
	Tokens  []Token    `json:"tokens,omitempty"`
	// Closed says that a token admits no new nodes from now on.
	Closed bool `json:"closed,omitempty"`
}

// Control serves the requests that arrive through l, one for each connection, until ctx
// ends. It closes l.
func (s *Session) Control(ctx context.Context, l net.Listener) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer l.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case <-time.After(requestTime / 50):
				continue
			case <-ctx.Done():
				return
			}
		}
		wg.Go(func() { s.answer(conn) })
	}
}

// answer serves one request, and closes the connection.
func (s *Session) answer(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(requestTime))
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest)).ReadBytes('\n')
	if err != nil {
		return
	}
	var r Request
	if json.Unmarshal(line, &r) != nil {
		return
	}
	reply, err := json.Marshal(s.execute(r))
	if err == nil {
		_, _ = conn.Write(append(reply, '\n')) // the client may have left
	}
}

func (s *Session) execute(r Request) Reply {
	var err error
	switch r.Do {
	case "list":
		return Reply{Viewers: s.List(), Paused: s.output.stream.isPaused()}
	case "kick", "grant", "revoke":
		return s.executeRights(r)
	case "token":
		return s.executeToken(r.Inside)
	case "pause", "resume":
		s.Pause(r.Do == "pause")
	case "mark":
		s.Mark(r.Text)
	default:
		err = proto.Errorf(proto.Usage, "unknown request %s", proto.QuoteText(r.Do))
	}
	return replyOf(err)
}

// replyOf returns the reply to a request that ended with err.
func replyOf(err error) Reply {
	if err != nil {
		return Reply{Error: err.Error(), Code: proto.CodeOf(err)}
	}
	return Reply{}
}

// ErrShownToViewers is the error of a request for tokens from a shared terminal without
// a terminal of the sharer.
var ErrShownToViewers = proto.Errorf(proto.Usage, "viewers would see the token on this terminal")

// executeToken returns the tokens, or shows them to the sharer alone.
func (s *Session) executeToken(inside bool) Reply {
	switch {
	case s.o.Tokens == nil:
		return replyOf(proto.Errorf(proto.Usage, "this session has no tokens"))
	case inside && s.o.Show == nil:
		return replyOf(ErrShownToViewers)
	}
	tokens, err := s.o.Tokens(s.viewers.isClosed)
	if err != nil || !inside {
		r := replyOf(err)
		r.Tokens = tokens
		return r
	}
	var lines []string
	for _, t := range tokens {
		lines = append(lines, t.Rights+": "+t.How)
	}
	s.o.Show(lines)
	return Reply{}
}

// executeRights executes a request that gives or takes the rights of a viewer.
func (s *Session) executeRights(r Request) Reply {
	n := 0
	if r.Who != "" || r.Do != "revoke" {
		var err error
		if n, err = s.findViewer(r.Who); err != nil {
			return replyOf(err)
		}
	}
	closes := s.viewers.usesToken(n) && r.Do != "grant"
	var err error
	switch r.Do {
	case "kick":
		err = s.Kick(n)
	case "grant":
		err = s.Grant(n)
	default:
		err = s.Revoke(n)
	}
	reply := replyOf(err)
	reply.Closed = closes && err == nil
	return reply
}

// findViewer returns the number of a viewer, or of one of a node, from its number, the
// label that others see, or the node id. The name that a viewer gives itself is not
// enough.
func (s *Session) findViewer(who string) (int, error) {
	var found Info
	for _, v := range s.List() {
		switch {
		case who == strconv.Itoa(v.Number):
			return v.Number, nil
		case who != v.Name && who != v.PeerID:
		case found.Number != 0 && found.PeerID != v.PeerID:
			return 0, proto.Errorf(proto.Usage, "several viewers are called %s: give a number", proto.EscapeText(who))
		default:
			found = v
		}
	}
	if found.Number == 0 {
		return 0, proto.Errorf(proto.Usage, "no viewer is called %s", proto.EscapeText(who))
	}
	return found.Number, nil
}

// Ask sends a request to the session whose socket is at path.
func Ask(ctx context.Context, path string, r Request) (Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	conn, err := local.Dial(ctx, path)
	switch {
	case proto.CodeOf(err) == proto.Config:
		return Reply{}, err
	case err != nil:
		return Reply{}, proto.Errorf(proto.Unreachable, "the session is not there any more: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := json.Marshal(r)
	if err != nil {
		return Reply{}, err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return Reply{}, proto.IOError(err)
	}
	answer, err := bufio.NewReader(io.LimitReader(conn, maxReply)).ReadBytes('\n')
	if err != nil {
		return Reply{}, proto.Errorf(proto.IO, "the session does not answer: %w", err)
	}
	var reply Reply
	if err := json.Unmarshal(answer, &reply); err != nil {
		return Reply{}, proto.Errorf(proto.IO, "the session's answer: %w", err)
	}
	if reply.Error != "" {
		return Reply{}, proto.Errorf(reply.Code, "%s", reply.Error)
	}
	return reply, nil
}
