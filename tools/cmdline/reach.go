package cmdline

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/tools/config"
)

// Reach is the table [reach]: how this node may reach others, and be reached.
type Reach struct {
	// Relay allows links through a relay, PortMap asking routers for ports, and LAN asking
	// for peers in the local networks and answering there.
	Relay, PortMap, LAN bool
	// Hide keeps the addresses of this machine's interfaces from peers.
	Hide bool
	// STUN are servers to ask beside those of the hubs, each HOST:PORT.
	STUN []string
	// Proxy returns the proxy for a request, as [http.Transport] has it.
	Proxy func(*http.Request) (*url.URL, error)
}

// stunPort is the port of a STUN server (RFC 8489, section 18.6).
const stunPort = "3478"

// ReadReach reads the table from the environment and config.toml.
func ReadReach() (Reach, error) {
	r := Reach{Relay: true, PortMap: true, LAN: true, Proxy: http.ProxyFromEnvironment}
	file := new(config.File)
	if path := configPath(); path != "" {
		var err error
		if file, err = config.Load(path, keys()); err != nil {
			return r, err
		}
	}
	for _, row := range Settings {
		name, ok := strings.CutPrefix(row.Key, "reach.")
		if !ok {
			continue
		}
		v, set := fromEnv(row)
		if !set {
			v, set = file.Lookup(row.Key)
		}
		if set {
			if err := r.set(name, v); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

func (r *Reach) set(name string, v config.Value) (err error) {
	switch name {
	case "relay":
		r.Relay, err = truth(v)
	case "hide":
		r.Hide, err = truth(v)
	case "portmap":
		r.PortMap, err = truth(v)
	case "lan":
		r.LAN, err = truth(v)
	case "stun":
		r.STUN, err = stunServers(v)
	case "proxy":
		r.Proxy, err = proxyOf(v)
	}
	return err
}

// truth reads true or false, which a variable has as a text.
func truth(v config.Value) (bool, error) {
	switch v.Words[0] {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, v.Errorf("want true or false")
}

// stunServers adds the port to the servers that have none.
func stunServers(v config.Value) (servers []string, err error) {
	for _, w := range v.Words {
		at := strings.TrimSpace(w)
		if _, _, err := net.SplitHostPort(at); err != nil {
			at = net.JoinHostPort(strings.Trim(at, "[]"), stunPort)
		}
		if err := identity.CheckAddr(at); err != nil {
			return nil, v.Errorf("%s is not HOST or HOST:PORT of a STUN server", proto.QuoteText(w))
		}
		servers = append(servers, at)
	}
	return servers, nil
}

// proxyOf returns the proxy that the value names: "env", "none", or a URL. The error does
// not repeat the text, which may have a password. NO_PROXY holds for a URL too, and this
// machine is never reached through a proxy.
func proxyOf(v config.Value) (func(*http.Request) (*url.URL, error), error) {
	switch v.Words[0] {
	case "env":
		return http.ProxyFromEnvironment, nil
	case "none":
		return func(*http.Request) (*url.URL, error) { return nil, nil }, nil
	}
	u, err := url.Parse(v.Words[0])
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		return nil, v.Errorf(`want "env", "none" or the URL of a proxy: http://HOST:PORT, https:// or socks5://`)
	}
	env := httpproxy.FromEnvironment()
	through := (&httpproxy.Config{HTTPProxy: u.String(), HTTPSProxy: u.String(), NoProxy: env.NoProxy}).ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return through(r.URL) }, nil
}
