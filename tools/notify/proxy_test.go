package notify_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/notify"
)

// tunnel is an HTTP proxy that leads all connections to one address.
type tunnel struct {
	to     string
	refuse int // the status of each answer; 0 for a connection

	mu    sync.Mutex
	asked []string // the method, the host and what the client says who it is
}

func (p *tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
	name, password, _ := r.BasicAuth()
	p.mu.Lock()
	p.asked = append(p.asked, strings.TrimSpace(fmt.Sprint(r.Method, " ", r.Host, " ", name, " ", password)))
	p.mu.Unlock()
	if p.refuse != 0 {
		http.Error(w, canary, p.refuse)
		return
	}
	xtest.Tunnel(w, p.to)
}

// TestProxy sends through the proxy of the environment, but to this machine without it. A
// process reads the environment once, so each row is a process of its own.
func TestProxy(t *testing.T) {
	const childURL, childCA, childDirect = "MESH_TEST_URL", "MESH_TEST_CA", "MESH_TEST_DIRECT"
	if to := os.Getenv(childURL); to != "" {
		c := notify.Channel{Kind: notify.Webhook, URL: to, CAFile: os.Getenv(childCA), Insecure: true}
		if at := os.Getenv(childDirect); at != "" { // no name is looked up
			c = c.Over(func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, at)
			})
		}
		err := c.Send(t.Context(), message())
		fmt.Printf("code %d: %v\n", proto.CodeOf(err), err)
		return
	}
	t.Parallel()
	s := &server{}
	web, plain := httptest.NewTLSServer(s), httptest.NewServer(s)
	defer web.Close()
	defer plain.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	const far = "https://example.com/hook" // the certificate is for this name too
	for _, tt := range []struct {
		what, url, env string // <PROXY> stands for the proxy's address
		direct         bool
		refuse         int
		asked          string // what the proxy has heard; "" for nothing
		want           proto.Code
		says           string
	}{
		{what: "https", url: far, env: "HTTPS_PROXY=http://<PROXY>", asked: "CONNECT example.com:443"},
		{what: "lower case", url: far, env: "https_proxy=http://<PROXY>", asked: "CONNECT example.com:443"},
		{what: "with a password", url: far, env: "HTTPS_PROXY=http://ann:" + canary + "@<PROXY>", asked: "CONNECT example.com:443 ann " + canary},
		{what: "https, a proxy for http", url: far, env: "HTTP_PROXY=http://<PROXY>", direct: true},
		{what: "NO_PROXY", url: far, env: "HTTPS_PROXY=http://<PROXY> NO_PROXY=example.com", direct: true},
		{what: "this machine", url: web.URL, env: "HTTPS_PROXY=http://<PROXY>"},
		{what: "this machine, http", url: plain.URL, env: "HTTP_PROXY=http://<PROXY> HTTPS_PROXY=http://<PROXY>"},
		{what: "refused", url: far, env: "HTTPS_PROXY=http://<PROXY>", refuse: 403, asked: "CONNECT example.com:443", want: proto.Unreachable, says: "it refuses the connection: HTTP status 403"},
		{what: "no password", url: far, env: "HTTPS_PROXY=http://<PROXY>", refuse: 407, asked: "CONNECT example.com:443", want: proto.Unreachable, says: "it wants a name and a password (HTTP status 407)"},
		{what: "wrong password", url: far, env: "HTTPS_PROXY=http://ann:" + canary + "@<PROXY>", refuse: 407, asked: "CONNECT example.com:443 ann " + canary, want: proto.Unreachable, says: "it refuses the name and the password (HTTP status 407)"},
	} {
		p := &tunnel{to: web.Listener.Addr().String(), refuse: tt.refuse}
		proxy := httptest.NewServer(p)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxy$")
		for _, v := range os.Environ() {
			if name, _, _ := strings.Cut(v, "="); !strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		cmd.Env = append(cmd.Env, childURL+"="+tt.url, childCA+"="+ca)
		cmd.Env = append(cmd.Env, strings.Fields(strings.ReplaceAll(tt.env, "<PROXY>", proxy.Listener.Addr().String()))...)
		if tt.direct {
			cmd.Env = append(cmd.Env, childDirect+"="+web.Listener.Addr().String())
		}
		before := len(s.got())
		out, err := cmd.CombinedOutput()
		proxy.Close()
		if err != nil || !strings.HasPrefix(string(out), fmt.Sprintf("code %d: ", tt.want)) || !strings.Contains(string(out), tt.says) {
			t.Errorf("%s: got %v, %s, want code %d, %q", tt.what, err, out, tt.want, tt.says)
		}
		if strings.Contains(string(out), canary) {
			t.Errorf("%s: a secret, or what the proxy says, is told: %s", tt.what, out)
		}
		if got := strings.Join(p.asked, "\n"); got != tt.asked {
			t.Errorf("%s: the proxy was asked for %q, want %q", tt.what, got, tt.asked)
		}
		arrived := 1
		if tt.want != proto.OK {
			arrived = 0
		}
		if got := len(s.got()) - before; got != arrived {
			t.Errorf("%s: the server got %d messages, want %d", tt.what, got, arrived)
		}
	}
}
