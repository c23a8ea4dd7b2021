package doctor

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// addressText matches what may be an address, with brackets, prefix or port; nodeText
// matches a node id or its beginning.
var (
	addressText = regexp.MustCompile(`\[?[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]+(?:%[0-9A-Za-z._-]+)?\]?(?::[0-9]+|/[0-9]+)?`)
	nodeText    = regexp.MustCompile(`\bmk1[a-z2-7]{8,}`)
)

// Redact returns the report without what tells whose network it is: addresses, host names,
// issuers of certificates and node ids. Each has a placeholder, the same one wherever it
// stands.
func (r Report) Redact() Report {
	p := placeholders{of: map[string]string{}, count: map[string]int{}}
	names := slices.Clone(r.names)
	slices.SortStableFunc(names, func(a, b name) int { return len(b.text) - len(a.text) })
	lines := slices.Clone(r.Lines)
	for i := range lines {
		for _, text := range []*string{&lines[i].Hub, &lines[i].Text, &lines[i].Hint} {
			*text = p.redact(*text, names)
		}
	}
	r.Lines, r.names = lines, nil
	return r
}

// placeholders are those that are given out.
type placeholders struct {
	of    map[string]string // by what they stand for
	count map[string]int    // by kind
}

func (p *placeholders) redact(text string, names []name) string {
	for _, n := range names {
		if _, err := netip.ParseAddr(n.text); err == nil {
			continue
		}
		text = replaceWord(text, n.text, func() string { return p.get(n.kind, n.text) })
	}
	text = addressText.ReplaceAllStringFunc(text, p.address)
	return nodeText.ReplaceAllStringFunc(text, func(id string) string { return p.get("node", id) })
}

// get returns the placeholder for a text of a kind.
func (p *placeholders) get(kind, text string) string {
	got, ok := p.of[kind+" "+text]
	if !ok {
		p.count[kind]++
		got = fmt.Sprintf("<%s-%d>", kind, p.count[kind])
		p.of[kind+" "+text] = got
	}
	return got
}

// address returns the placeholder for an address, with its port or the length of its
// prefix. Any other text it returns as it is.
func (p *placeholders) address(text string) string {
	main := strings.TrimRight(text, ".:")
	rest := text[len(main):]
	if ip, err := netip.ParseAddr(strings.Trim(main, "[]")); err == nil {
		return p.ip(ip) + rest
	}
	if at, err := netip.ParseAddrPort(main); err == nil {
		return fmt.Sprintf("%s:%d%s", p.ip(at.Addr()), at.Port(), rest)
	}
	if prefix, err := netip.ParsePrefix(main); err == nil {
		return fmt.Sprintf("%s/%d%s", p.ip(prefix.Addr()), prefix.Bits(), rest)
	}
	return text
}

// ip returns the placeholder for an address: it tells the family, and what matters for who
// can reach it.
func (p *placeholders) ip(ip netip.Addr) string {
	ip = ip.WithZone("").Unmap()
	family := "ipv6"
	if ip.Is4() {
		family = "ipv4"
	}
	kind := "public"
	switch {
	case ip.IsLoopback(), ip.IsUnspecified():
		return ip.String()
	case sharedSpace.Contains(ip):
		kind = "shared"
	case ip.IsPrivate():
		kind = "private"
	case ip.IsLinkLocalUnicast():
		kind = "link-local"
	}
	return p.get(kind+"-"+family, ip.String())
}

// replaceWord replaces a name where no longer one contains it.
func replaceWord(text, word string, with func() string) string {
	var b strings.Builder
	for {
		at := strings.Index(text, word)
		if at < 0 {
			return b.String() + text
		}
		end := at + len(word)
		b.WriteString(text[:at])
		if at > 0 && inName(text[at-1]) || end < len(text) && inName(text[end]) && text[end] != '.' {
			b.WriteString(word)
		} else {
			b.WriteString(with())
		}
		text = text[end:]
	}
}

// inName reports whether a byte can be part of a name.
func inName(c byte) bool {
	return c == '-' || c == '.' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c >= 0x80
}
