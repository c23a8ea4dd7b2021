package nat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"

	"mesh/proto/candidate"
)

const (
	natPMPPort = 5351
	// One request takes a router some milliseconds. With more time it is sent again after
	// 250 ms (RFC 6886, section 3.1).
	natPMPQuick = 250 * time.Millisecond
	natPMPTime  = 750 * time.Millisecond
)

// natPMP is a router that is asked by NAT-PMP. Its calls can't be ended by a context, but
// take natPMPTime at most, and remove natPMPQuick.
type natPMP struct{ client, quick *natpmp.Client }

func newNATPMP(p place, quick bool) natPMP {
	r := natPMP{quick: natpmp.NewClientWithLocalAndTimeout(p.at.AsSlice(), p.local.AsSlice(), natPMPQuick)}
	r.client = r.quick
	if !quick {
		r.client = natpmp.NewClientWithLocalAndTimeout(p.at.AsSlice(), p.local.AsSlice(), natPMPTime)
	}
	return r
}

func (natPMP) name() string { return "NAT-PMP" }

func (r natPMP) external(context.Context) (netip.Addr, error) {
	answer, err := r.client.GetExternalAddress()
	if err != nil {
		return netip.Addr{}, natPMPError(err)
	}
	return netip.AddrFrom4(answer.ExternalIPAddress), nil
}

func (r natPMP) add(_ context.Context, p candidate.Proto, port uint16) (uint16, time.Duration, error) {
	answer, err := r.client.AddPortMappingWithDuration(string(p), int(port), int(port), mapLease)
	if err != nil {
		return 0, 0, natPMPError(err)
	}
	if answer.InternalPort != port || answer.MappedExternalPort == 0 {
		return 0, 0, fmt.Errorf("NAT-PMP: the router has forwarded another port than %d", port)
	}
	return answer.MappedExternalPort, time.Duration(answer.PortMappingLifetimeInSeconds) * time.Second, nil
}

func (r natPMP) remove(_ context.Context, p candidate.Proto, port, _ uint16) {
	_, _ = r.quick.AddPortMapping(string(p), int(port), 0, 0)
}

// natPMPError names the router's result code, if it has answered with one.
func natPMPError(err error) error {
	if code, ok := strings.CutPrefix(err.Error(), "Non-zero result code "); ok {
		code, _, _ = strings.Cut(code, " ")
		return fmt.Errorf("the router refuses (NAT-PMP %s)", code)
	}
	op, ok := errors.AsType[*net.OpError](err)
	if ok && op.Op == "read" || strings.HasPrefix(err.Error(), "Timed out") { // the port is closed, or filtered
		return errors.New("NAT-PMP: the router does not answer")
	}
	return fmt.Errorf("NAT-PMP: %s", printable(err.Error()))
}
