// Package forge makes the QUIC packets (RFC 9000 and RFC 9001) that a stranger can send
// to a dialer whose first packet it has seen. They are made by the RFCs alone, without a
// QUIC library.
package forge

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"net"
)

// First is what a stranger needs of a dialer's Initial packet.
type First struct{ dcid, scid []byte }

// parseFirst reads the header of an Initial packet (RFC 9000, section 17.2.2).
func parseFirst(p []byte) (f First, ok bool) {
	if len(p) < 7 || p[0]&0xf0 != 0xc0 {
		return f, false
	}
	rest := p[5:]
	for _, id := range []*[]byte{&f.dcid, &f.scid} {
		if len(rest) < 1 || len(rest) < 1+int(rest[0]) {
			return f, false
		}
		n := int(rest[0])
		*id = append([]byte(nil), rest[1:1+n]...)
		rest = rest[1+n:]
	}
	return f, true
}

// longHeader returns the start of a packet from the listener to the dialer.
func (f First) longHeader(first byte, version uint32) []byte {
	h := binary.BigEndian.AppendUint32([]byte{first}, version)
	h = append(h, byte(len(f.scid)))
	h = append(h, f.scid...)
	h = append(h, byte(len(f.dcid)))
	return append(h, f.dcid...)
}

// VersionNegotiation says that the server speaks another version of QUIC alone (RFC
// 9000, section 17.2.1).
func (f First) VersionNegotiation() []byte {
	return binary.BigEndian.AppendUint32(f.longHeader(0x80, 0), 0x1a2a3a4a)
}

// Close returns the function that makes an Initial packet with a CONNECTION_CLOSE of
// the given type, error code (below 2^14) and reason phrase (below 64 bytes).
func Close(frameType byte, code uint16, reason string) func(First) []byte {
	return func(f First) []byte {
		frame := binary.BigEndian.AppendUint16([]byte{frameType}, 0x4000|code)
		if frameType == 0x1c {
			frame = append(frame, 0) // the frame that caused it
		}
		frame = append(append(frame, byte(len(reason))), reason...)
		return f.initial(frame)
	}
}

// Frames returns the function that makes an Initial packet with frames.
func Frames(frames ...byte) func(First) []byte {
	return func(f First) []byte { return f.initial(frames) }
}

// initial protects frames as an Initial packet of the server with number 0 (RFC 9001,
// sections 5.2 to 5.4).
func (f First) initial(frames []byte) []byte {
	frames = append(frames, make([]byte, max(0, 32-len(frames)))...) // PADDING
	salt := []byte{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}
	secret := must(hkdf.Extract(sha256.New, f.dcid, salt))
	expand := func(secret []byte, label string, n int) []byte {
		info := binary.BigEndian.AppendUint16(nil, uint16(n))
		label = "tls13 " + label
		info = append(append(append(info, byte(len(label))), label...), 0)
		return must(hkdf.Expand(sha256.New, secret, string(info), n))
	}
	secret = expand(secret, "server in", 32)
	aead := must(cipher.NewGCM(must(aes.NewCipher(expand(secret, "quic key", 16)))))
	header := append(f.longHeader(0xc0, 1), 0) // no token
	header = binary.BigEndian.AppendUint16(header, 0x4000|uint16(1+len(frames)+aead.Overhead()))
	header = append(header, 0) // the packet number, in one byte
	p := aead.Seal(header, expand(secret, "quic iv", 12), frames, header)
	mask := make([]byte, 16)
	at := len(header) - 1
	must(aes.NewCipher(expand(secret, "quic hp", 16))).Encrypt(mask, p[at+4:at+20])
	p[0] ^= mask[0] & 0x0f
	p[at] ^= mask[1]
	return p
}

// must returns what RFC 9001 makes with valid keys and lengths.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Answer answers each Initial packet that comes to a socket with a packet, until the
// socket is closed.
func Answer(conn net.PacketConn, answer func(First) []byte) {
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if f, ok := parseFirst(buf[:n]); ok {
			_, _ = conn.WriteTo(answer(f), from)
		}
	}
}
