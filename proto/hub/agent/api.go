package agent

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
)

// APIToken asks the hub for an API token. [Conn.Run] must be running.
func (c *Conn) APIToken(ctx context.Context, n hub.NewToken) (hub.TokenMade, error) {
	var made hub.TokenMade
	answer, err := c.Call(ctx, hub.TypeToken, &n)
	if err == nil && answer.Type != hub.TypeToken {
		err = proto.Errorf(proto.Protocol, "the hub answers with %s", answer.Type)
	}
	if err != nil {
		return made, err
	}
	if err := answer.Read(&made); err != nil {
		return made, &proto.Error{Code: proto.Protocol, Err: err}
	}
	return made, nil
}

// APIURL returns the URL of the hub's REST API, which ends with a slash.
func (c *Conn) APIURL() string {
	return strings.Replace(c.url.Origin(), "ws", "http", 1) + c.url.Path + "/api/v1/"
}

// Transport returns a transport for requests with an API token of this connection. It
// talks to no server that presents another certificate than the hub did at the login.
func (c *Conn) Transport() http.RoundTripper {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	if want := c.Certificate; want != nil {
		identity.VerifyBy(cfg, func(s tls.ConnectionState) error {
			if !s.PeerCertificates[0].Equal(want) {
				return proto.Errorf(proto.Identity, "hub %s presents another certificate than at the login", c.url.Name())
			}
			return nil
		})
	}
	return c.transport(cfg)
}
