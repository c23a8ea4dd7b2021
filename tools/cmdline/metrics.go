package cmdline

import (
	"errors"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// MetricsName is the name of the flag for metrics.
const MetricsName = "metrics"

// Metrics is the flag of a tool that runs until it is stopped: where it gives metrics.
func Metrics() *cli.StringFlag {
	return &cli.StringFlag{Name: MetricsName, Usage: "give metrics for Prometheus at `ADDR`: :PORT or HOST:PORT"}
}

// MetricsAddr returns the address of [Metrics]: without a host, of loopback; "" for none.
func MetricsAddr(c *cli.Context) (string, error) {
	text := c.String(MetricsName)
	if text == "" {
		return "", nil
	}
	host, port, _ := net.SplitHostPort(text)
	if !IsHostPort(text) {
		return "", proto.Errorf(proto.Usage, "flag --%s: want :PORT or HOST:PORT", MetricsName)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// IsHostPort reports whether text is :PORT or HOST:PORT.
func IsHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && port != "" && !strings.ContainsAny(host+port, " /")
}

// ListenError says which flag chooses an address at which the tool cannot listen.
func ListenError(err error, flag string) error {
	switch wrapped := proto.Errorf(proto.IO, "%w", err); {
	case errors.Is(err, syscall.EADDRINUSE):
		return proto.Hint(wrapped, "another process has that port: choose another with "+flag+" :PORT")
	case errors.Is(err, fs.ErrPermission):
		return proto.Hint(wrapped, "choose a port above 1023 with "+flag+" :PORT, or give the process CAP_NET_BIND_SERVICE")
	default:
		return wrapped
	}
}
