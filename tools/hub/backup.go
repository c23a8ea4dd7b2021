package hub

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub/boltstore"
	"mesh/proto/hub/broker"
	"mesh/tools/cmdline"
)

// export prints what the hub has stored, once all of it has arrived.
func export(ctx context.Context, a *admin, _ nothing, s cmdline.Streams) error {
	if err := s.RequireOut(); err != nil {
		return err
	}
	text, err := a.raw(ctx, http.MethodGet, "export", nil)
	if err != nil {
		return err
	}
	if _, err := broker.ReadExport(bytes.NewReader(text)); err != nil {
		return proto.Errorf(proto.Protocol, "the hub's answer: %w", err)
	}
	return printAll(s, string(text))
}

func importCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "give a new hub what another one has exported", ArgsUsage: "[FILE]",
		Description: "Without FILE it reads standard input. The hub must not run, and have no\nmembers, names, invites and bans of its own.",
		Action: func(c *cli.Context) error {
			args, err := cmdline.Args(c, 0, 1)
			if err != nil {
				return err
			}
			home, err := cmdline.Home()
			if err != nil {
				return err
			}
			return importFacts(home, append(args, "-")[0], cmdline.StreamsOf(c))
		},
	}
}

// importFacts reads an export from a file, or with "-" from standard input, and writes
// all of it in one change.
func importFacts(home, name string, s cmdline.Streams) error {
	facts, err := readExport(name, s.In)
	if err != nil {
		return err
	}
	path := filepath.Join(home, boltstore.FileName)
	store, err := boltstore.Open(path)
	if err != nil {
		return (&server{o: serveOptions{home: home}}).storeHint(err)
	}
	defer store.Close()
	have, err := store.Load()
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return proto.Hint(proto.Errorf(proto.Unsafe, "%s has %d facts: an import would replace them", path, len(have)), "move it away, or set MESH_HOME to another folder")
	}
	if err := store.Write(broker.Entry{At: time.Now().UTC(), By: "admin", Op: "import", What: fmt.Sprintf("%d facts", len(facts))}, facts...); err != nil {
		return err
	}
	return store.Close()
}

func readExport(name string, stdin io.Reader) ([]broker.Fact, error) {
	from := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, proto.IOError(err)
		}
		defer f.Close()
		from = f
	}
	facts, err := broker.ReadExport(from)
	if err != nil {
		return nil, proto.Errorf(proto.Protocol, "%s: %w", proto.EscapeText(name), err)
	}
	return facts, nil
}
