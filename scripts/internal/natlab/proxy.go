package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// proxied is the only port that a proxy connects to.
const proxied = "443"

// serveEach listens, and serves each connection.
func serveEach(addr string, serve func(net.Conn) error) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			if err := serve(c); err != nil {
				fmt.Fprintln(os.Stderr, "natlab:", c.RemoteAddr(), err)
			}
		}()
	}
}

// connectHTTP serves one CONNECT (RFC 9110, section 9.3.6).
func connectHTTP(c net.Conn, user string) error {
	in := bufio.NewReader(c)
	r, err := http.ReadRequest(in)
	if err != nil {
		return err
	}
	refuse := func(status int, header string) error {
		fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%sContent-Length: 0\r\n\r\n", status, http.StatusText(status), header)
		return fmt.Errorf("%s %s: status %d", r.Method, r.Host, status)
	}
	_, port, _ := net.SplitHostPort(r.Host)
	switch {
	case user != "" && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(user)):
		return refuse(http.StatusProxyAuthRequired, "Proxy-Authenticate: Basic realm=\"lab\"\r\n")
	case r.Method != http.MethodConnect:
		return refuse(http.StatusMethodNotAllowed, "")
	case port != proxied:
		return refuse(http.StatusForbidden, "")
	}
	to, err := net.Dial("tcp", r.Host)
	if err != nil {
		return refuse(http.StatusBadGateway, "")
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return err
	}
	return join(c, in, to)
}

// connectSOCKS serves one CONNECT of SOCKS5.
func connectSOCKS(c net.Conn, user string) error {
	in := bufio.NewReader(c)
	if err := greetSOCKS(c, in, user); err != nil {
		return err
	}
	head := make([]byte, 4) // version, command, reserved, type of address
	if _, err := io.ReadFull(in, head); err != nil {
		return err
	}
	host, err := hostOf(in, head[3])
	if err != nil {
		return err
	}
	port := make([]byte, 2)
	if _, err := io.ReadFull(in, port); err != nil {
		return err
	}
	addr := net.JoinHostPort(host, strconv.Itoa(int(port[0])<<8|int(port[1])))
	to, err := net.Dial("tcp", addr)
	reply := byte(0)
	switch {
	case !strings.HasSuffix(addr, ":"+proxied):
		reply, err = 2, errors.New("not allowed")
	case err != nil:
		reply = 4
	}
	if _, err := c.Write([]byte{5, reply, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return join(c, in, to)
}

// greetSOCKS asks for the name and the password, if there are any.
func greetSOCKS(c net.Conn, in *bufio.Reader, user string) error {
	if _, err := in.ReadByte(); err != nil { // the version
		return err
	}
	methods, err := field(in)
	if err != nil {
		return err
	}
	want := byte(0)
	if user != "" {
		want = 2
	}
	if !strings.Contains(methods, string(want)) {
		_, _ = c.Write([]byte{5, 0xff})
		return errors.New("no password")
	}
	if _, err := c.Write([]byte{5, want}); err != nil || user == "" {
		return err
	}
	if _, err := in.ReadByte(); err != nil {
		return err
	}
	name, _ := field(in)
	password, err := field(in)
	if err == nil && name+":"+password != user {
		_, _ = c.Write([]byte{1, 1})
		return errors.New("wrong password")
	}
	if err == nil {
		_, err = c.Write([]byte{1, 0})
	}
	return err
}

// field reads a text behind its length.
func field(in *bufio.Reader) (string, error) {
	n, err := in.ReadByte()
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(in, b)
	return string(b), err
}

// hostOf reads an address or a name.
func hostOf(in *bufio.Reader, kind byte) (string, error) {
	ip := net.IP(make([]byte, net.IPv4len))
	switch kind {
	case 3:
		return field(in)
	case 4:
		ip = make([]byte, net.IPv6len)
	}
	_, err := io.ReadFull(in, ip)
	return ip.String(), err
}

// join copies both ways until one end is through.
func join(c net.Conn, in io.Reader, to net.Conn) error {
	defer to.Close()
	go func() {
		_, _ = io.Copy(to, in)
		_ = to.(*net.TCPConn).CloseWrite()
	}()
	_, err := io.Copy(c, to)
	return err
}
