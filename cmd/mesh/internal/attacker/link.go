package attacker

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/zeebo/blake3"
)

// Types of frames.
const (
	Hello         = 0x01
	OK            = 0x02
	Deny          = 0x03
	FileMeta      = 0x10
	FileChunk     = 0x12
	FileDone      = 0x13
	FileAck       = 0x14
	FilesEntry    = 0x20
	FilesFrom     = 0x21
	FilesData     = 0x22
	FilesEnd      = 0x23
	FilesTotal    = 0x24
	FilesAnswer   = 0x28
	FilesStored   = 0x2a
	TermOpen      = 0x30
	TermIn        = 0x31
	TermSession   = 0x38
	TermOut       = 0x39
	TermSnapshot  = 0x3a
	zeroProofSize = 32
)

// Frame is a frame of a link, or of the bytes of a transfer.
type Frame struct {
	Type byte
	Body []byte
}

// Bytes returns the frame as it is sent.
func (f Frame) Bytes() []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(f.Body))), f.Type), f.Body...)
}

// Text returns a field of a JSON body as text; "" if it is not there.
func (f Frame) Text(field string) string {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(f.Body, &m)
	return strings.Trim(string(m[field]), `"`)
}

// JSON makes a frame with a JSON body. The format is that of fmt.Sprintf.
func JSON(kind byte, format string, args ...any) Frame {
	return Frame{kind, fmt.Appendf(nil, format, args...)}
}

func readFrame(r io.Reader) (Frame, error) {
	var h [5]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return Frame{}, err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n > 16<<20 {
		return Frame{}, fmt.Errorf("frame 0x%x of %d bytes", h[4], n)
	}
	f := Frame{h[4], make([]byte, n)}
	_, err := io.ReadFull(r, f.Body)
	return f, err
}

// Link is a connection whose peer is proven.
type Link struct {
	*Conn
	Transfer string // the id of both transfers
	Window   uint64 // that the peer announced
	Answer   Frame  // P2P_OK or P2P_HELLO of the peer

	sent, got uint64         // bytes of both transfers
	taken     uint64         // bytes sent that the peer has acknowledged
	digest    *blake3.Hasher // of the bytes sent
	gotDigest *blake3.Hasher
	acked     bool         // the peer sent the final FILE_ACK
	inner     bytes.Buffer // received and not yet read
	prk       []byte
	id        []byte // of the transfer
}

// Denied is the class of a P2P_DENY.
type Denied string

func (d Denied) Error() string { return "denied: " + string(d) }

// Call dials the listener of a token and proves the token. kind is "" for pipes.
func Call(ctx context.Context, via string, t Token, settings *tls.Config, want, kind string) (*Link, error) {
	c, err := Dial(ctx, via, t.Addrs[0], settings)
	if err != nil {
		return nil, err
	}
	method, token := t.credential()
	return prove(c, publicOf(settings), method, token, t.Secret, want, kind)
}

// CallByKey dials a listener with the method "key", as the node that me names.
func CallByKey(ctx context.Context, via string, addr netip.AddrPort, settings *tls.Config, me ed25519.PublicKey, want string) (*Link, error) {
	c, err := Dial(ctx, via, addr, settings)
	if err != nil {
		return nil, err
	}
	return prove(c, me, "key", nil, nil, want, "")
}

// AddFlow dials a further link of the transfers of l.
func (l *Link) AddFlow(ctx context.Context, via string, t Token, settings *tls.Config, want string) (*Link, error) {
	c, err := Dial(ctx, via, t.Addrs[0], settings)
	if err != nil {
		return nil, err
	}
	secret := expand(l.prk, "mesh/1 resume", 32)
	return prove(c, publicOf(settings), "flow", l.id, secret, want, "")
}

func prove(c *Conn, me ed25519.PublicKey, method string, token, secret []byte, want, kind string) (*Link, error) {
	l := newLink(c)
	l.prk = l.keys(secret)
	l.id = expand(l.prk, "mesh/1 transfer", 16)
	if kind != "" {
		kind = `"kind":"` + kind + `",`
	}
	named := ""
	if len(token) > 0 {
		named = `"token":"` + b64(token) + `",`
	}
	body := func(proof []byte) []byte {
		return fmt.Appendf(nil, `{"version":1,"method":%q,%s"want":%q,%s"window":%d,"nonce":%q,"proof":%q}`,
			method, named, want, kind, 1<<30, b64(make([]byte, 32)), b64(proof))
	}
	ids := append(bytes.Clone(me), c.Peer()...)
	proof := mac(expand(l.prk, "mesh/1 dialer proof", 32), ids, body(make([]byte, zeroProofSize)))
	if err := l.Send(Frame{Hello, body(proof)}); err != nil {
		return nil, err
	}
	f, err := readFrame(c)
	if err == nil && f.Type == Deny {
		err = Denied(f.Text("class"))
	}
	if err != nil {
		c.Close(0x4d00)
		return nil, err
	}
	l.Answer, l.Transfer = f, f.Text("transfer")
	_, _ = fmt.Sscan(f.Text("window"), &l.Window)
	c.KeepAlive()
	return l, nil
}

// Welcome reads P2P_HELLO and answers with P2P_OK, whatever the dialer's proof is. The
// answer has the right proof if t is the dialer's token.
func Welcome(c *Conn, key ed25519.PrivateKey, t Token) (*Link, error) {
	hello, err := readFrame(c)
	if err != nil {
		return nil, err
	}
	l := newLink(c)
	l.prk = l.keys(t.Secret)
	l.Answer, l.Transfer = hello, hex.EncodeToString(expand(l.prk, "mesh/1 transfer", 16))
	_, _ = fmt.Sscan(hello.Text("window"), &l.Window)
	body := func(proof []byte) []byte {
		return fmt.Appendf(nil, `{"granted":%q,"window":%d,"transfer":%q,"nonce":%q,"proof":%q}`,
			hello.Text("want"), 16<<20, l.Transfer, b64(make([]byte, 32)), b64(proof))
	}
	ids := append(bytes.Clone(c.Peer()), key.Public().(ed25519.PublicKey)...)
	length := binary.BigEndian.AppendUint32(nil, uint32(len(hello.Body)))
	proof := mac(expand(l.prk, "mesh/1 listener proof", 32), ids, length, hello.Body, body(make([]byte, zeroProofSize)))
	c.KeepAlive()
	return l, l.Send(Frame{OK, body(proof)})
}

// longest is how long a link may last, so that no test hangs.
const longest = 2 * time.Minute

func newLink(c *Conn) *Link {
	time.AfterFunc(longest, func() { c.Close(0x4d0b) })
	return &Link{Conn: c, digest: blake3.New(), gotDigest: blake3.New()}
}

func (l *Link) keys(secret []byte) []byte {
	x, err := l.state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		panic(err)
	}
	prk, err := hkdf.Extract(sha256.New, secret, x)
	if err != nil {
		panic(err)
	}
	return prk
}

func expand(prk []byte, label string, n int) []byte {
	out, err := hkdf.Expand(sha256.New, prk, label, n)
	if err != nil {
		panic(err)
	}
	return out
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Send sends frames of the link.
func (l *Link) Send(frames ...Frame) error {
	var b []byte
	for _, f := range frames {
		b = append(b, f.Bytes()...)
	}
	_, err := l.Write(b)
	return err
}

// Receive reads the next frame of the link.
func (l *Link) Receive() (Frame, error) { return readFrame(l) }
