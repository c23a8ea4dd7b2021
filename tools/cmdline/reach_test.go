package cmdline_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
)

// reachOf reads the table from a file with the text.
func reachOf(t *testing.T, text string) (cmdline.Reach, error) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("MESH_HOME", home)
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return cmdline.ReadReach()
}

// through returns the proxy for a host in words.
func through(r cmdline.Reach, host string) string {
	u, err := r.Proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: host}})
	switch {
	case err != nil:
		return err.Error()
	case u == nil:
		return "none"
	}
	return u.String()
}

func TestReadReach(t *testing.T) {
	t.Setenv("NO_PROXY", "direct.example")
	r, err := reachOf(t, "")
	if err != nil || !r.Relay || !r.PortMap || !r.LAN || r.Hide || len(r.STUN) != 0 {
		t.Errorf("without the table: got %+v, %v", r, err)
	}
	r, err = reachOf(t, "[reach]\nrelay = false\nportmap = false\nlan = false\nhide = true\nstun = [\"a.example\", \"b.example:1\", \"2001:db8::1\", \"[2001:db8::2]:5\"]\nproxy = \"http://u:p@proxy.example:3128\"\n")
	if err != nil || r.Relay || r.PortMap || r.LAN || !r.Hide {
		t.Errorf("got %+v, %v, want all that is not the default", r, err)
	}
	if want := []string{"a.example:3478", "b.example:1", "[2001:db8::1]:3478", "[2001:db8::2]:5"}; !slices.Equal(r.STUN, want) {
		t.Errorf("got STUN %q, want %q", r.STUN, want)
	}
	for host, want := range map[string]string{"hub.example:443": "http://u:p@proxy.example:3128", "direct.example:443": "none", "127.0.0.1:443": "none", "localhost:443": "none"} {
		if got := through(r, host); got != want {
			t.Errorf("%s: got proxy %s, want %s", host, got, want)
		}
	}
	if r, err = reachOf(t, "[reach]\nproxy = \"none\"\n"); err != nil || through(r, "hub.example:443") != "none" {
		t.Errorf("none: got %v, %v", through(r, "hub.example:443"), err)
	}
	t.Setenv("MESH_REACH_RELAY", "false")
	t.Setenv("MESH_REACH_STUN", "x.example,y.example:9")
	if r, err = reachOf(t, "[reach]\nrelay = true\nstun = [\"z.example\"]\n"); err != nil || r.Relay || !slices.Equal(r.STUN, []string{"x.example:3478", "y.example:9"}) {
		t.Errorf("the environment: got %+v, %v", r, err)
	}
	t.Setenv("MESH_REACH_RELAY", "maybe")
	_, err = reachOf(t, "")
	xtest.WantCode(t, "maybe in the environment", err, proto.Config)
}

// Mistakes name file, line and key, and never a password.
func TestReadReachMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"[reach]\nrelay = \"no\"":                             "config.toml:2: reach.relay: want true or false",
		"[reach]\nstun = \"a.example\"":                       "config.toml:2: reach.stun: want a list of texts",
		"[reach]\nstun = [\"a b\"]":                           "config.toml:2: reach.stun: \"a b\" is not HOST",
		"[reach]\nstun = [\"a.example:0\"]":                   "config.toml:2: reach.stun: ",
		"[reach]\nproxy = \"ftp://u:s3cret@proxy.example\"":   "config.toml:2: reach.proxy: want \"env\", \"none\" or the URL",
		"[reach]\nproxy = \"http://:s3cret@\"":                "config.toml:2: reach.proxy: want ",
		"[reach]\nproxy = \"http://u:s3cret@pro xy.example\"": "config.toml:2: reach.proxy: want ",
		"[reach]\nproxies = \"none\"":                         "config.toml:2: reach.proxies: unknown key",
	} {
		_, err := reachOf(t, text)
		xtest.WantCode(t, text, err, proto.Config)
		if err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: got %q, want %q and no password", text, err, want)
		}
	}
}
