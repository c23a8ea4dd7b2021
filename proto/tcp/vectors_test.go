package tcp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"mesh/proto"
	"mesh/proto/xtest"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vectorsFile holds streams of blocks that other implementations can test
// themselves with. A change of one is a change of the protocol.
const vectorsFile = "testdata/blocks.txt"

const vectorsHeader = `# Test vectors of the protocol mesh/1: one direction of a TLS stream over TCP.
# The blocks are described in mesh-protocol(7), the section "Over TCP".
#
# An entry is lines "name: value" and ends with an empty line.
#   blocks   all bytes of the direction, in hexadecimal
#   data     the bytes of the link's stream in them, in hexadecimal
#   then     "end": the stream has ended; a number: the connection is closed with
#            this application error code
# An encoder may cut the data into other blocks; a decoder must accept these.

`

// script is what an end does with a connection, and the blocks that it sends.
type script struct {
	name, blocks, data string
	closeCode          uint64 // 0: the stream ends
	run                func(c *Conn) error
}

func scripts() []script {
	send := func(parts ...string) func(c *Conn) error {
		return func(c *Conn) error {
			for _, p := range parts {
				if err := c.Send([]byte(p)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return []script{
		{name: "two blocks and the end", blocks: "\x00\x00\x00\x02ab\x00\x00\x00\x01c\x00\x00\x00\x00\x00\x00\x00\x00", data: "abc", run: send("ab", "c")},
		{name: "keep-alives", blocks: "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01d\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00", data: "d", run: func(c *Conn) error {
			return errors.Join(c.sendCode(codeAlive), c.Send([]byte("d")), c.sendCode(codeAlive))
		}},
		{name: "closed without an error", blocks: "\x00\x00\x00\x01e\x00\x00\x00\x00\x00\x00\x4d\x00", data: "e", closeCode: proto.CodeBase, run: send("e")},
		{name: "closed because the token is refused", blocks: "\x00\x00\x00\x00\x00\x00\x4d\x14", closeCode: proto.Denied.Wire(), run: send()},
		{name: "given up, to continue on another link", blocks: "\x00\x00\x00\x00\x00\x00\x4d\x80", closeCode: proto.CodeBroken, run: send()},
	}
}

func (s script) entry() string {
	then := "end"
	if s.closeCode != 0 {
		then = fmt.Sprintf("%#x", s.closeCode)
	}
	return fmt.Sprintf("name: %s\nblocks: %x\ndata: %x\nthen: %s\n\n", s.name, s.blocks, s.data, then)
}

// sent returns the plaintext that a Conn sends when it runs the script.
func (s script) sent(t *testing.T) []byte {
	t.Helper()
	cert, err := xtest.NewKey(t).Certificate()
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		InsecureSkipVerify: true, SessionTicketsDisabled: true,
	}
	rawA, rawB := net.Pipe()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := Server(t.Context(), rawB, conf)
		if err != nil {
			t.Errorf("%s: handshake: %v", s.name, err)
			return
		}
		err = s.run(c)
		if s.closeCode == 0 {
			err = errors.Join(err, c.CloseWrite())
		}
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if s.closeCode != 0 {
			c.Close(s.closeCode, net.ErrClosed)
		}
		rawB.Close()
	})
	defer rawA.Close()
	got, _ := io.ReadAll(tls.Client(rawA, conf)) // ends without a TLS alert
	return got
}

// A connection sends the vectors' blocks, and the reader reads them.
func TestVectors(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	got.WriteString(vectorsHeader)
	for _, s := range scripts() {
		got.WriteString(s.entry())
		if sent := s.sent(t); string(sent) != s.blocks {
			t.Errorf("%s: sent %x, want %x", s.name, sent, s.blocks)
		}
		data, err := io.ReadAll(&blockReader{r: bytes.NewReader([]byte(s.blocks))})
		if string(data) != s.data {
			t.Errorf("%s: read %x, want %x", s.name, data, s.data)
		}
		closed, ok := errors.AsType[*CloseError](err)
		if ok != (s.closeCode != 0) || ok && closed.Code != s.closeCode || !ok && err != nil {
			t.Errorf("%s: got %v, want code %#x", s.name, err, s.closeCode)
		}
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorsFile, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsFile)
	if err != nil || got.String() != string(want) {
		t.Errorf("blocks differ from %s (%v); got\n%s", vectorsFile, err, got.String())
	}
}
