package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/tools/cmdline"
)

// list reads a list of the hub and prints a line for each element: its columns, with
// tabs between them. An empty column is "-".
func list[T any](ctx context.Context, a *admin, path string, s cmdline.Streams, columns func(T) []string) error {
	return pages(ctx, a, path, "", func(part []T) error {
		var b strings.Builder
		for _, one := range part {
			row := columns(one)
			for i := range row {
				if row[i] == "" {
					row[i] = "-"
				}
			}
			b.WriteString(strings.Join(row, "\t") + "\n")
		}
		return printAll(s, b.String())
	})
}

// pages reads a list of the hub part by part, after the element that the query after
// names.
func pages[T any](ctx context.Context, a *admin, path, after string, show func([]T) error) error {
	path, more, _ := strings.Cut(path, "?")
	query, err := url.ParseQuery(more)
	if err != nil {
		return err
	}
	query.Set("limit", strconv.Itoa(serve.MaxPage))
	for {
		if after != "" {
			query.Set("after", after)
		}
		var l serve.List[T]
		if err := a.do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &l); err != nil {
			return err
		}
		if err := show(l.Items); err != nil || l.Next == "" {
			return err
		}
		after = l.Next
	}
}

func printAll(s cmdline.Streams, text string) error {
	if _, err := io.WriteString(s.Out, text); err != nil {
		return fmt.Errorf("write to standard output: %w", cmdline.WriteError(err))
	}
	return nil
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func listMembers(ctx context.Context, a *admin, _ nothing, s cmdline.Streams) error {
	return list(ctx, a, "members", s, func(m broker.Member) []string {
		state := "member"
		switch {
		case !m.Removed.IsZero():
			state = "removed"
		case !m.Until.IsZero() && time.Now().After(m.Until):
			state = "over"
		}
		return []string{m.Node.String(), m.Name, state, day(m.Since), day(m.Until)}
	})
}

func listInvites(ctx context.Context, a *admin, _ nothing, s cmdline.Streams) error {
	return list(ctx, a, "invites", s, func(i broker.Invite) []string {
		return []string{i.Key.String(), i.Name, strconv.Itoa(i.Uses - i.Used), day(i.Expires)}
	})
}

func listNames(ctx context.Context, a *admin, _ nothing, s cmdline.Streams) error {
	return list(ctx, a, "names", s, func(n broker.NameState) []string {
		online := "offline"
		if n.Connected {
			online = "online"
		}
		return []string{n.Name.Name, n.Node.String(), online, day(n.Since)}
	})
}

func listSessions(ctx context.Context, a *admin, _ nothing, s cmdline.Streams) error {
	return list(ctx, a, "sessions", s, func(x broker.SessionState) []string {
		return []string{x.Session.String(), x.Dialer.String(), x.Listener.String(), string(x.Kind), x.State}
	})
}

func listBans(ctx context.Context, a *admin, _ nothing, s cmdline.Streams) error {
	return list(ctx, a, "bans", s, func(x broker.Ban) []string { return []string{x.What, day(x.At)} })
}

func readLog(c *cli.Context) (uint64, error) {
	_, err := cmdline.Args(c, 0, 0)
	return c.Uint64("after"), err
}

// printLog prints the log page by page.
func printLog(ctx context.Context, a *admin, after uint64, s cmdline.Streams) error {
	return pages(ctx, a, "log", strconv.FormatUint(after, 10), func(part []broker.Entry) error {
		var b strings.Builder
		for _, e := range part {
			line, err := json.Marshal(e)
			if err != nil {
				return err
			}
			b.WriteString(string(line) + "\n")
		}
		return printAll(s, b.String())
	})
}
