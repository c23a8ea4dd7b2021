package notify

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"
	"unicode"

	"mesh/proto"
	"mesh/proto/statefile"
)

// The kinds of channels.
const (
	Gotify  = "gotify"
	Ntfy    = "ntfy"
	Ping    = "ping"
	Webhook = "webhook"
	Command = "command"
)

// Kinds are the kinds of channels, in the order in which mesh notify names them.
var Kinds = []string{Gotify, Ntfy, Ping, Webhook, Command}

// Channel is a way to a person. Which fields it needs depends on its kind.
type Channel struct {
	Kind string // one of [Kinds]
	URL  string
	// URLFile, SecretFile and CAFile are absolute paths. The first holds the URL of a
	// [Ping], which is a secret, and the second a token, or the key of a webhook.
	URLFile, SecretFile, CAFile string
	// Insecure allows http to another machine.
	Insecure bool
	// Successes makes a [Ping] request its URL for each success, and nothing else.
	Successes bool
	// Command is what /bin/sh runs.
	Command string

	dial func(ctx context.Context, network, addr string) (net.Conn, error) // of a test
}

// CheckURL returns what is wrong with the URL of a channel. The error does not repeat it.
func (c Channel) CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.Fragment != "":
		return errors.New("want a URL: https://HOST/…")
	case u.User != nil:
		return errors.New("a URL with a name or a password is refused: a file holds secrets")
	case u.RawQuery != "" && (c.Kind == Gotify || c.Kind == Ntfy):
		return errors.New("want a URL without a query")
	case c.Kind == Ntfy && strings.Trim(u.Path, "/") == "":
		return errors.New("want the URL of a topic: https://HOST/TOPIC")
	case u.Scheme == "http" && !c.Insecure && !proto.IsUnproxiedHost(u.Hostname()):
		return errors.New("http would show messages and secrets to the network: want https, or plain = true")
	}
	return nil
}

// maxSecretBytes bounds the file of a secret.
const maxSecretBytes = 4 << 10

// readSecret returns the only line of a file that no other user may read.
func readSecret(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		err := proto.Errorf(proto.Config, "%s: other users may read it (mode %04o, want 0600)", path, info.Mode().Perm())
		return "", proto.Hint(err, "chmod 600 "+path)
	}
	text, err := statefile.Read(path, maxSecretBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return "", proto.Errorf(proto.Config, "%s: no such file", path)
	}
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" || strings.ContainsFunc(secret, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return "", proto.Errorf(proto.Config, "%s: want one line without spaces", path)
	}
	return secret, nil
}

// send makes one attempt to deliver a message. The error has a code, and names neither a
// secret nor the URL of the channel.
func (c Channel) send(ctx context.Context, m Message) error {
	switch c.Kind {
	case Gotify:
		return c.sendGotify(ctx, m)
	case Ntfy:
		return c.sendNtfy(ctx, m)
	case Ping:
		return c.sendPing(ctx, m)
	case Webhook:
		return c.sendWebhook(ctx, m)
	case Command:
		return c.runCommand(ctx, m)
	}
	return proto.Errorf(proto.Config, "%s is no channel", c.Kind)
}
