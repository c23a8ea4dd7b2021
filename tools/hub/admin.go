package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"mesh/pipe/local"
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/serve"
)

const (
	// adminTimeout bounds one request of an admin.
	adminTimeout = 30 * time.Second
	// maxAnswer bounds the answer to one: all members of a large hub.
	maxAnswer = 256 << 20
)

// admin sends requests to the hub of this machine.
type admin struct {
	socket string
	http   http.Client
}

// newAdmin returns an admin of the hub whose state folder is home.
func newAdmin(home string) *admin {
	a := &admin{socket: filepath.Join(home, socketFile)}
	a.http = http.Client{
		Timeout: adminTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return local.DialOwner(ctx, a.socket) },
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return a
}

// do sends a request, and reads the answer into answer unless that is nil.
func (a *admin) do(ctx context.Context, method, path string, body, answer any) error {
	text, err := a.raw(ctx, method, path, body)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return proto.Errorf(proto.Protocol, "the hub's answer: %w", err)
	}
	return nil
}

func (a *admin) raw(ctx context.Context, method, path string, body any) ([]byte, error) {
	var from io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		from = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://hub"+serve.AdminPath+path, from)
	if err != nil {
		return nil, err
	}
	got, err := a.http.Do(r)
	if err != nil {
		return nil, a.unreachable(ctx, err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, a.unreachable(ctx, err)
	case got.StatusCode >= 300:
		return nil, problem(got.StatusCode, text)
	}
	return text, nil
}

// unreachable is the error of a request that got no answer.
func (a *admin) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*proto.Error](err); ok {
		return e
	}
	return proto.Hint(proto.Errorf(proto.Unreachable, "no hub answers at %s: %w", a.socket, cause(err)),
		"this command is for the machine on which mesh-hub serve runs; MESH_HOME names the hub's state folder")
}

// cause returns an error of package http without the URL, which no user has written.
func cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// problem returns the hub's refusal with its exit code.
func problem(status int, text []byte) error {
	var p serve.Problem
	if err := json.Unmarshal(text, &p); err != nil || p.Detail == "" {
		return proto.Errorf(proto.Protocol, "the hub answers with status %d", status)
	}
	code := proto.IO
	switch p.Code {
	case hub.CodeNotFound, hub.CodeBadEvent, hub.CodeBadName:
		code = proto.Usage
	case hub.CodeLimit, hub.CodeRateLimited:
		code = proto.Busy
	case hub.CodeTaken, hub.CodeReserved:
		code = proto.Declined
	case hub.CodeDenied:
		code = proto.Denied
	}
	err := proto.Errorf(code, "%s", proto.EscapeText(p.Detail))
	if p.Code == hub.CodeTaken {
		return proto.Hint(err, "mesh-hub name free NAME takes it from its owner, or takes the invite back that reserves it")
	}
	return err
}
