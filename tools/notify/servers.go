package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mesh/proto"
)

// postJSON sends a JSON object, with a bearer token if the channel has a file with one.
func (c Channel) postJSON(ctx context.Context, to string, object any) error {
	header := http.Header{"Content-Type": {"application/json"}}
	if c.SecretFile != "" {
		token, err := readSecret(c.SecretFile)
		if err != nil {
			return err
		}
		header.Set("Authorization", "Bearer "+token)
	}
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return c.post(ctx, to, header, body)
}

// sendGotify sends a message to a Gotify server: https://gotify.net/docs/pushmsg.
func (c Channel) sendGotify(ctx context.Context, m Message) error {
	return c.postJSON(ctx, strings.TrimRight(c.URL, "/")+"/message", map[string]any{
		"title": m.Title, "message": m.Text, "priority": m.Kind.priority(),
		"extras": map[string]any{"client::display": map[string]any{"contentType": "text/plain"}},
	})
}

// sendNtfy sends a message to a topic of an ntfy server. The form with JSON goes to the
// root of the server: https://docs.ntfy.sh/publish/#publish-as-json.
func (c Channel) sendNtfy(ctx context.Context, m Message) error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return proto.Errorf(proto.Config, "the URL cannot be used")
	}
	path := strings.TrimRight(u.Path, "/")
	at := strings.LastIndexByte(path, '/') + 1
	topic := path[at:]
	u.Path, u.RawPath = path[:at], ""
	return c.postJSON(ctx, u.String(), map[string]any{
		"topic": topic, "title": m.Title, "message": m.Text, "priority": 1 + m.Kind.priority()/2, // 1 to 5
	})
}

// sendPing tells a dead man's switch as Healthchecks is one how a run has ended: its exit
// code is appended to the URL (https://healthchecks.io/docs/http_api/).
func (c Channel) sendPing(ctx context.Context, m Message) error {
	code := proto.Failed
	if m.Code != nil {
		code = *m.Code
	}
	switch {
	case !c.Successes:
		return c.ping(ctx, m.Job, "/"+strconv.Itoa(int(code)))
	case code == proto.OK:
		return c.ping(ctx, m.Job, "")
	}
	return nil
}

// ping requests the URL with a suffix. {job} in the URL stands for the name of the job.
func (c Channel) ping(ctx context.Context, job, suffix string) error {
	to, err := readSecret(c.URLFile)
	if err != nil {
		return err
	}
	if job == "" && strings.Contains(to, "{job}") {
		return nil // it watches jobs only
	}
	to = strings.ReplaceAll(to, "{job}", url.PathEscape(job))
	if at := strings.IndexByte(to, '?'); at >= 0 {
		suffix, to = suffix+to[at:], to[:at]
	}
	return c.post(ctx, strings.TrimRight(to, "/")+suffix, http.Header{}, nil)
}

// SignatureHeader has the time of a request to a webhook and its HMAC:
// t=UNIX,v1=HEX. The HMAC is SHA-256 of "UNIX.BODY", with the secret as the key.
const SignatureHeader = "Mesh-Signature"

// sendWebhook sends a message as JSON.
func (c Channel) sendWebhook(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if c.SecretFile != "" {
		secret, err := readSecret(c.SecretFile)
		if err != nil {
			return err
		}
		header.Set(SignatureHeader, signature(secret, time.Now(), body))
	}
	return c.post(ctx, c.URL, header, body)
}

func signature(secret string, now time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", now.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", now.Unix(), hex.EncodeToString(mac.Sum(nil)))
}
