//go:build linux

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// recorderWord makes this program a recorder: a webhook that writes down what it gets.
const recorderWord = "--record"

// hookSecret is the secret of the webhook.
const hookSecret = "the-secret-of-all-nodes"

// record serves at an address. Each line of the file is a node, which the path of the URL
// names, a tab, and a message. A message without the right signature is written as one of
// the node "forged".
func record(addr, file string) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: addr, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return // the sender sees no answer, or is gone
		}
		node := strings.Trim(r.URL.Path, "/")
		if !signed(r.Header.Get("Mesh-Signature"), body) {
			node = "forged"
		}
		fmt.Fprintf(out, "%s\t%s\n", node, body)
	})}
	return server.ListenAndServe()
}

func signed(header string, body []byte) bool {
	at, got, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte(hookSecret))
	fmt.Fprintf(mac, "%s.%s", at, body)
	return got == hex.EncodeToString(mac.Sum(nil))
}

// message is what a notification says.
type message struct {
	Event, Kind, Job string
	Time             time.Time
	Code, Failures   int
	PeerName         string `json:"peer_name"`
	Text             string
	Count            int
	Messages         []message
}

// flat returns the messages that one message holds. It fails for a merged one that has left
// out older ones.
func (m message) flat() ([]message, error) {
	if len(m.Messages) == 0 {
		return []message{m}, nil
	}
	if m.Count != len(m.Messages) {
		return nil, fmt.Errorf("a message of %d holds %d", m.Count, len(m.Messages))
	}
	return m.Messages, nil
}

// received reads what the recorder has, or a command of [notify] has written: by node.
func received(recorder string, commands map[string]string) (map[string][]message, error) {
	all := make(map[string][]message)
	add := func(node string, m message) error {
		list, err := m.flat()
		all[node] = append(all[node], list...)
		return err
	}
	text, err := os.ReadFile(recorder)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		node, body, _ := strings.Cut(line, "\t")
		var m message
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", node, err, body)
		}
		if err := add(node, m); err != nil {
			return nil, err
		}
	}
	for node, file := range commands {
		f, err := os.Open(file)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for d := json.NewDecoder(f); ; {
			var m message
			err := d.Decode(&m)
			if err == io.EOF {
				break
			}
			if err == nil {
				err = add(node, m)
			}
			if err != nil {
				f.Close()
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
		f.Close()
	}
	return all, nil
}
