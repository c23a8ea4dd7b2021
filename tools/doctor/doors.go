package doctor

import (
	"context"
	"strings"
	"sync"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/relay"
	"mesh/tools/node"
)

// doors checks the doors of the relays that the hub names.
func (c *hubCheck) doors(ctx context.Context, named []hub.Relay) {
	if len(named) == 0 {
		c.add(Warn, "relay", "the hub names none", "machines that can't reach each other need one: mesh-hub serve without --relay none")
		return
	}
	var doors []relay.Entry
	for _, d := range named {
		doors = append(doors, relay.Entry{URL: d.URL})
	}
	c.relay.TLS = agent.TLSConfig(c.url)
	c.relay.Dial = node.RelayDialer(doors, c.url)
	if c.proxy != nil { // links do not use the plain door then
		doors = webOnly(doors)
	}
	took, errs := c.probe(ctx, doors)
	answers := false
	for _, err := range errs {
		answers = answers || err == nil
	}
	for i, d := range doors {
		at := where(d.URL)
		c.name("relay", hostOf(at))
		switch {
		case errs[i] == nil:
			c.add(OK, "relay", at+" in "+ms(took[i]), "")
		case answers:
			c.add(Warn, "relay", at+": "+reason(errs[i]), "")
		default:
			c.add(Fail, "relay", at+": "+reason(errs[i]), "without a relay only machines that can be dialled, or met through a hole, are reached")
		}
	}
}

// probe tries all doors at the same time.
func (c *hubCheck) probe(ctx context.Context, doors []relay.Entry) ([]time.Duration, []error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	took, errs := make([]time.Duration, len(doors)), make([]error, len(doors))
	var wg sync.WaitGroup
	for i, d := range doors {
		wg.Go(func() { took[i], errs[i] = c.relay.Probe(ctx, d) })
	}
	wg.Wait()
	return took, errs
}

func webOnly(doors []relay.Entry) (web []relay.Entry) {
	for _, d := range doors {
		if !strings.HasPrefix(d.URL, "tcp://") {
			web = append(web, d)
		}
	}
	return web
}

// where returns the kind and the host of a door: "tcp hub.example:443".
func where(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + " " + host
}

// hostOf returns the host of what [where] returns.
func hostOf(at string) string {
	u := hub.URL{Host: at[strings.IndexByte(at, ' ')+1:]}
	return u.Name()
}
