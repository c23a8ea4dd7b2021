package proto_test

import (
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/http/httpproxy"

	"mesh/proto"
)

func TestIsLoopbackHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.8.7": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.example": false, "127.0.0.1.example": false, "[::1]": false, "127.1": false,
		"0.0.0.0": false, "::": false, "10.0.0.1": false, "fe80::1": false,
	} {
		if got := proto.IsLoopbackHost(host); got != want {
			t.Errorf("IsLoopbackHost(%q) = %v, want %v", host, got, want)
		}
	}
}

// The rules of net/http for proxies are those of package httpproxy.
func TestIsUnproxiedHost(t *testing.T) {
	t.Parallel()
	const proxy = "http://proxy.example:3128"
	proxies := (&httpproxy.Config{HTTPProxy: proxy, HTTPSProxy: proxy}).ProxyFunc()
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.8.7": true, "::1": true, "::ffff:127.0.0.1": true,
		"LOCALHOST": false, "LocalHost": false, "localhost.": false, "::1%lo": false, "a.localhost": false, "127.1": false, "10.0.0.1": false, "nas": false,
	} {
		if got := proto.IsUnproxiedHost(host); got != want {
			t.Errorf("IsUnproxiedHost(%q) = %v, want %v", host, got, want)
		}
		u := &url.URL{Scheme: "http", Host: host}
		if strings.Contains(host, ":") {
			u.Host = "[" + host + "]"
		}
		by, err := proxies(u)
		if err != nil || want && by != nil {
			t.Errorf("%q: got the proxy %v, %v, want none", host, by, err)
		}
	}
}
