package nat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/soap"

	"mesh/proto/candidate"
)

const (
	upnpSearch  = 2 * time.Second // for an answer to the search
	upnpRequest = 3 * time.Second // for one HTTP request
	// maxUPnPBytes bounds what a router may answer; maxUPnPAnswers the answers to a search,
	// which each machine of the network can give.
	maxUPnPBytes   = 64 << 10
	maxUPnPAnswers = 16
	// upnpPorts is how many external ports are tried if the first ones are taken.
	upnpPorts = 4

	// Errors of AddPortMapping.
	upnpConflict      = 718
	upnpOnlyPermanent = 725
)

// upnpServices are the services that forward ports, the newest first. A router with
// version 2 is not found by version 1.
var upnpServices = []string{
	"urn:schemas-upnp-org:service:WANIPConnection:2",
	"urn:schemas-upnp-org:service:WANIPConnection:1",
	"urn:schemas-upnp-org:service:WANPPPConnection:1",
}

// upnp is a router that is asked by UPnP.
type upnp struct {
	soap    *soap.SOAPClient
	service string
	local   netip.Addr
}

// openUPnP finds the service of a router.
func openUPnP(ctx context.Context, p place) (*upnp, error) {
	location, err := searchUPnP(ctx, p)
	if err != nil {
		return nil, err
	}
	client := routerClient(p.at)
	device, err := describe(ctx, client, location)
	if err != nil {
		return nil, err
	}
	for _, service := range upnpServices {
		for _, s := range device.FindService(service) {
			if u := s.ControlURL.URL; s.ControlURL.Ok && isOf(&u, p.at) {
				return &upnp{&soap.SOAPClient{EndpointURL: u, HTTPClient: *client}, service, p.local}, nil
			}
		}
	}
	return nil, errors.New("UPnP: the router forwards no ports")
}

// searchUPnP returns the URL of the router's description (SSDP). It takes answers from the
// router alone, which name the router itself.
func searchUPnP(ctx context.Context, p place) (*url.URL, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.local, 0)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, upnpSearch)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	for _, service := range upnpServices {
		text := "M-SEARCH * HTTP/1.1\r\nHOST: " + ssdpGroup.String() + "\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: " + service + "\r\n\r\n"
		if _, err := conn.WriteToUDPAddrPort([]byte(text), p.ssdp); err != nil {
			return nil, fmt.Errorf("UPnP: search: %w", err)
		}
	}
	b := make([]byte, 2048)
	for range maxUPnPAnswers {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			break
		}
		if u, ok := locationIn(b[:n]); ok && from.Addr().Unmap() == p.at && isOf(u, p.at) {
			return u, nil
		}
	}
	return nil, errors.New("UPnP: the router does not answer")
}

var ssdpGroup = netip.MustParseAddrPort("239.255.255.250:1900")

// locationIn returns the LOCATION of an answer to a search.
func locationIn(answer []byte) (*url.URL, bool) {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil || r.StatusCode != http.StatusOK {
		return nil, false
	}
	u, err := url.Parse(r.Header.Get("Location"))
	return u, err == nil
}

// isOf reports whether a URL is one of the router.
func isOf(u *url.URL, at netip.Addr) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip == at && u.Scheme == "http" && u.User == nil
}

// describe reads the description of the router.
func describe(ctx context.Context, client *http.Client, location *url.URL) (*goupnp.Device, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("UPnP: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("UPnP: the router's description: HTTP status %d", answer.StatusCode)
	}
	return readDevice(answer.Body, location)
}

// readDevice reads a description that came from a location.
func readDevice(r io.Reader, location *url.URL) (*goupnp.Device, error) {
	var root goupnp.RootDevice
	d := xml.NewDecoder(r)
	d.DefaultSpace = goupnp.DeviceXMLNamespace
	if err := d.Decode(&root); err != nil {
		return nil, errors.New("UPnP: the router's description is no XML of a device, or too long")
	}
	base := location
	if u, err := url.Parse(root.URLBaseStr); err == nil && root.URLBaseStr != "" {
		base = u
	}
	root.SetURLBase(base)
	return &root.Device, nil
}

// routerClient returns an HTTP client that reaches the router alone, and reads no more than
// maxUPnPBytes of an answer.
func routerClient(at netip.Addr) *http.Client {
	dialer := net.Dialer{Timeout: upnpRequest}
	return &http.Client{
		Timeout:       upnpRequest,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: limitedTripper{&http.Transport{
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxUPnPBytes,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if to, err := netip.ParseAddrPort(addr); err != nil || to.Addr() != at {
					return nil, errors.New("an address of another host than the router")
				}
				return dialer.DialContext(ctx, network, addr)
			},
		}},
	}
}

// limitedTripper limits the bodies of the answers.
type limitedTripper struct{ inner http.RoundTripper }

func (l limitedTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.inner.RoundTrip(r)
	if err == nil {
		answer.Body = limitedBody{io.LimitReader(answer.Body, maxUPnPBytes), answer.Body}
	}
	return answer, err
}

type limitedBody struct {
	io.Reader
	io.Closer
}

func (*upnp) name() string { return "UPnP" }

func (r *upnp) external(ctx context.Context) (netip.Addr, error) {
	var answer struct{ NewExternalIPAddress string }
	if err := r.do(ctx, "GetExternalIPAddress", nil, &answer); err != nil {
		return netip.Addr{}, err
	}
	ip, err := netip.ParseAddr(answer.NewExternalIPAddress)
	if err != nil {
		return netip.Addr{}, errors.New("UPnP: the router has no external address")
	}
	return ip.Unmap(), nil
}

// portMapping has the arguments of AddPortMapping in their order.
type portMapping struct {
	NewRemoteHost, NewExternalPort, NewProtocol, NewInternalPort, NewInternalClient string
	NewEnabled, NewPortMappingDescription, NewLeaseDuration                         string
}

func (r *upnp) add(ctx context.Context, p candidate.Proto, port uint16) (granted uint16, lease time.Duration, err error) {
	granted, lease = port, mapLease
	for range upnpPorts {
		if err = r.addOnce(ctx, p, port, granted, lease); err == nil {
			return granted, mapLease, nil
		}
		fault, ok := errors.AsType[*soap.SOAPFaultError](err)
		switch {
		case !ok:
			return 0, 0, upnpError(err)
		case fault.Detail.UPnPError.Errorcode == upnpConflict: // another machine has it
			granted = uint16(49152 + rand.IntN(16384))
		case fault.Detail.UPnPError.Errorcode == upnpOnlyPermanent && lease > 0:
			lease = 0
		default:
			return 0, 0, upnpError(err)
		}
	}
	return 0, 0, upnpError(err)
}

func (r *upnp) addOnce(ctx context.Context, p candidate.Proto, port, external uint16, lease time.Duration) error {
	return r.soap.PerformActionCtx(ctx, r.service, "AddPortMapping", &portMapping{
		NewExternalPort: number(external), NewProtocol: protocolName(p), NewInternalPort: number(port), NewInternalClient: r.local.String(),
		NewEnabled: "1", NewPortMappingDescription: "mesh", NewLeaseDuration: strconv.Itoa(int(lease / time.Second)),
	}, nil)
}

func (r *upnp) remove(ctx context.Context, p candidate.Proto, _, granted uint16) {
	_ = r.do(ctx, "DeletePortMapping", &struct{ NewRemoteHost, NewExternalPort, NewProtocol string }{
		NewExternalPort: number(granted), NewProtocol: protocolName(p),
	}, nil)
}

func (r *upnp) do(ctx context.Context, action string, in, out any) error {
	if err := r.soap.PerformActionCtx(ctx, r.service, action, in, out); err != nil {
		return upnpError(err)
	}
	return nil
}

func upnpError(err error) error {
	if fault, ok := errors.AsType[*soap.SOAPFaultError](err); ok {
		return fmt.Errorf("the router refuses (UPnP %d)", fault.Detail.UPnPError.Errorcode)
	}
	return fmt.Errorf("UPnP: %s", printable(err.Error()))
}

func number(port uint16) string { return strconv.Itoa(int(port)) }

func protocolName(p candidate.Proto) string {
	if p == candidate.UDP {
		return "UDP"
	}
	return "TCP"
}
