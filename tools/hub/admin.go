package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"mesh/pipe/local"
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

const (
	// adminTimeout bounds one request of an admin.
	adminTimeout = 30 * time.Second
	// maxAnswer bounds the answer to one: all facts of a large hub.
	maxAnswer = 256 << 20
	// retries is how often a request is sent again that came too soon after others.
	retries = 10
)

// admin sends requests to a hub: through the socket of the hub that runs with the same
// state folder, or over the network with an API token of this node.
type admin struct {
	home  string // the state folder of this node
	base  string // the URL of the API
	token string // "" at the socket
	where string // the hub, for messages
	hint  string // what to do if it does not answer
	http  http.Client
}

// newAdmin returns an admin of the hub at a URL. With "" it is the hub of the state folder
// if its socket is there, else the only hub that this node has joined.
func newAdmin(ctx context.Context, home, url string, s cmdline.Streams) (*admin, error) {
	socket := filepath.Join(home, socketFile)
	if _, err := os.Lstat(socket); url == "" && err == nil {
		return socketAdmin(socket), nil
	}
	u, found, err := chosenHub(home, url)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return socketAdmin(socket), nil
	}
	return networkAdmin(ctx, home, u, hub.NewToken{}, s)
}

func socketAdmin(socket string) *admin {
	a := &admin{
		base: "http://hub" + serve.APIPath, where: socket,
		hint: "this command is for the machine on which mesh-hub serve runs; MESH_HOME names the hub's state folder. Elsewhere an admin uses it once the node has joined the hub",
	}
	a.http = client(&http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return local.DialOwner(ctx, socket) },
	})
	return a
}

func client(t http.RoundTripper) http.Client {
	return http.Client{
		Timeout: adminTimeout, Transport: t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// chosenHub returns the hub at a URL with the key that is known of it; without a URL the
// hub that this node has joined, if there is one.
func chosenHub(home, url string) (u hub.URL, found bool, err error) {
	known := agent.Known{Dir: home}
	if url != "" {
		if u, err = hub.ParseURL(url); err != nil {
			return u, false, proto.Errorf(proto.Usage, "flag --hub: %w", err)
		}
		old, joined, err := known.Find(u)
		if err == nil && joined && u.Key != (identity.ID{}) {
			err = agent.Changed(old, u)
		}
		if joined {
			u = old
		}
		return u, true, err
	}
	hubs, err := known.List()
	switch {
	case err != nil || len(hubs) == 0:
		return u, false, err
	case len(hubs) > 1:
		return u, false, proto.Hint(proto.Errorf(proto.Usage, "this node has joined %d hubs", len(hubs)), "name one with --hub URL; mesh-hub status lists them")
	}
	return hubs[0], true, nil
}

// networkAdmin logs in, and gets an API token. One without scopes is for all that this node
// may do.
func networkAdmin(ctx context.Context, home string, u hub.URL, want hub.NewToken, s cmdline.Streams) (*admin, error) {
	made, c, err := getToken(ctx, home, u, want, s)
	if err != nil {
		return nil, err
	}
	c.Close()
	a := &admin{base: c.APIURL(), token: made.Token, where: u.Name()}
	a.http = client(c.Transport())
	return a, nil
}

// getToken logs in at a hub and asks it for an API token. The caller closes the
// connection.
func getToken(ctx context.Context, home string, u hub.URL, n hub.NewToken, s cmdline.Streams) (made hub.TokenMade, c *agent.Conn, err error) {
	key, err := node.LoadKey(home)
	if err != nil {
		return made, nil, err
	}
	o, err := loginOptions(home, u, key, s)
	if err != nil {
		return made, nil, err
	}
	c, err = agent.Dial(ctx, o, func(hub.Event) {})
	if err != nil {
		return made, nil, err
	}
	ended := make(chan struct{}) // closed by the goroutine that reads
	go func() {
		_ = c.Run(ctx)
		close(ended)
	}()
	made, err = c.APIToken(ctx, n)
	if err != nil {
		c.Close()
		<-ended
	}
	return made, c, err
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

// raw sends a request, again if the hub says that it came too soon.
func (a *admin) raw(ctx context.Context, method, path string, body any) ([]byte, error) {
	var send []byte
	if body != nil {
		var err error
		if send, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	for try := 0; ; try++ {
		text, wait, err := a.once(ctx, method, path, send)
		if wait == 0 || try == retries {
			return text, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// once sends a request. A wait above 0 is how long to wait before it is sent again.
func (a *admin) once(ctx context.Context, method, path string, body []byte) (text []byte, wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	got, err := a.http.Do(r)
	if err != nil {
		return nil, 0, a.unreachable(ctx, err)
	}
	defer got.Body.Close()
	text, err = io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, 0, a.unreachable(ctx, err)
	case got.StatusCode >= 300:
		return nil, waitOf(text), problem(got.StatusCode, text)
	}
	return text, 0, nil
}

// waitOf returns how long a hub asks to wait, if its refusal is for a rate.
func waitOf(text []byte) time.Duration {
	var p serve.Problem
	if json.Unmarshal(text, &p) != nil || p.Code != hub.CodeRateLimited {
		return 0
	}
	return min(time.Duration(p.RetryAfterS)*time.Second, hub.MaxRetryAfter)
}

// unreachable is the error of a request that got no answer.
func (a *admin) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*proto.Error](err); ok {
		return e
	}
	err = proto.Errorf(proto.Unreachable, "no hub answers at %s: %w", a.where, cause(err))
	if a.hint == "" {
		return err
	}
	return proto.Hint(err, a.hint)
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
	case hub.CodeDenied, hub.CodeBadToken, hub.CodeNotMember:
		code = proto.Denied
	case hub.CodeNoSpace:
		code = proto.Space
	}
	err := proto.Errorf(code, "%s", proto.EscapeText(p.Detail))
	switch p.Code {
	case hub.CodeTaken:
		return proto.Hint(err, "mesh-hub name free NAME takes it from its owner, or takes the invite back that reserves it")
	case hub.CodeDenied:
		return proto.Hint(err, "on the hub's machine, the line admin NODEID in hub_access makes a node an admin; mesh-token id prints the node id")
	}
	return err
}
