package vt

import (
	"fmt"
	"strconv"
	"strings"
)

// palette is the colours that a program has changed. 0 is an unchanged one.
type palette struct {
	indexed map[uint8]Color
	special [3]Color // foreground, background, cursor
}

// The answers to queries for unchanged colours.
var (
	defaultSpecial = [3]Color{RGB(0xd0, 0xd0, 0xd0), RGB(0, 0, 0), RGB(0xd0, 0xd0, 0xd0)}
	first16        = [16]uint32{
		0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5,
		0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
	}
)

// color returns colour i of the palette; if the program has not changed it, xterm's.
func (p *palette) color(i uint8) Color {
	if c, ok := p.indexed[i]; ok {
		return c
	}
	switch {
	case i < 16:
		return direct | Color(first16[i])
	case i < 232: // a cube of 6 by 6 by 6
		i -= 16
		return RGB(cube(i/36), cube(i/6%6), cube(i%6))
	}
	grey := 8 + 10*(i-232)
	return RGB(grey, grey, grey)
}

// changed reports whether a cell may look different from one with the usual colours.
func (p *palette) changed() bool {
	return len(p.indexed) > 0 || p.special[0] != 0 || p.special[1] != 0
}

// apply replaces the colours of a style that the program has changed by their values,
// so that the style looks the same on a terminal with another palette.
func (p *palette) apply(s *Style) {
	for _, c := range []*Color{&s.Fg, &s.Bg, &s.LineColor} {
		if i, ok := c.Index(); ok {
			if value, ok := p.indexed[i]; ok {
				*c = value
			}
		}
	}
	if s.Fg == 0 {
		s.Fg = p.special[0]
	}
	if s.Bg == 0 {
		s.Bg = p.special[1]
	}
}

func cube(i uint8) uint8 {
	if i == 0 {
		return 0
	}
	return 55 + 40*i
}

// setColors implements OSC 4; index; colour; …. A colour of ? is a query.
func (t *Terminal) setColors(s string) {
	parts := strings.Split(s, ";")
	for i := 0; i+1 < len(parts); i += 2 {
		n, err := strconv.ParseUint(parts[i], 10, 8)
		if err != nil {
			continue
		}
		if parts[i+1] == "?" {
			t.answer("\x1b]4;%d;%s\x1b\\", n, spec(t.palette.color(uint8(n))))
		} else if c, ok := parseColor(parts[i+1]); ok {
			if t.palette.indexed == nil {
				t.palette.indexed = map[uint8]Color{}
			}
			t.palette.indexed[uint8(n)] = c
		}
	}
}

// resetColors implements OSC 104; index; …. Without an index it resets all colours.
func (t *Terminal) resetColors(s string) {
	if s == "" {
		t.palette.indexed = nil
		return
	}
	for part := range strings.SplitSeq(s, ";") {
		if n, err := strconv.ParseUint(part, 10, 8); err == nil {
			delete(t.palette.indexed, uint8(n))
		}
	}
}

// setSpecialColors implements OSC 10, 11 and 12. Further colours in s are for the
// numbers that follow.
func (t *Terminal) setSpecialColors(first int, s string) {
	for part := range strings.SplitSeq(s, ";") {
		if first >= len(t.palette.special) {
			return
		}
		if part == "?" {
			c := t.palette.special[first]
			if c == 0 {
				c = defaultSpecial[first]
			}
			t.answer("\x1b]%d;%s\x1b\\", 10+first, spec(c))
		} else if c, ok := parseColor(part); ok {
			t.palette.special[first] = c
		}
		first++
	}
}

// spec returns a colour in X11's notation.
func spec(c Color) string {
	r, g, b, _ := c.RGB()
	return fmt.Sprintf("rgb:%02x%02x/%02x%02x/%02x%02x", r, r, g, g, b, b)
}

// names are the names of colours that programs use most, with X11's values.
var names = map[string]Color{
	"black": RGB(0, 0, 0), "white": RGB(255, 255, 255), "red": RGB(255, 0, 0), "green": RGB(0, 255, 0),
	"blue": RGB(0, 0, 255), "yellow": RGB(255, 255, 0), "cyan": RGB(0, 255, 255), "magenta": RGB(255, 0, 255),
	"gray": RGB(190, 190, 190), "grey": RGB(190, 190, 190), "orange": RGB(255, 165, 0), "purple": RGB(160, 32, 240),
	"brown": RGB(165, 42, 42), "pink": RGB(255, 192, 203), "navy": RGB(0, 0, 128), "darkblue": RGB(0, 0, 139),
	"darkgreen": RGB(0, 100, 0), "darkred": RGB(139, 0, 0), "gray20": RGB(51, 51, 51), "grey20": RGB(51, 51, 51),
}

// parseColor reads one of names, rgb:R/G/B with one to four hexadecimal digits each, or
// #RGB with one to four, in upper or lower case.
func parseColor(s string) (Color, bool) {
	s = strings.ToLower(s)
	if c, ok := names[s]; ok {
		return c, true
	}
	var parts []string
	if rest, ok := strings.CutPrefix(s, "rgb:"); ok {
		parts = strings.Split(rest, "/")
	} else if rest, ok := strings.CutPrefix(s, "#"); ok && len(rest)%3 == 0 {
		n := len(rest) / 3
		parts = []string{rest[:n], rest[n : 2*n], rest[2*n:]}
	}
	if len(parts) != 3 {
		return 0, false
	}
	var rgb [3]uint8
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 16, 16)
		if err != nil || len(p) > 4 {
			return 0, false
		}
		switch full := uint64(1)<<(4*len(p)) - 1; {
		case s[0] == '#' && len(p) == 1:
			rgb[i] = uint8(v << 4)
		case s[0] == '#':
			rgb[i] = uint8(v >> (4*len(p) - 8))
		default:
			rgb[i] = uint8((v*255 + full/2) / full)
		}
	}
	return RGB(rgb[0], rgb[1], rgb[2]), true
}

// Value returns the parts of a colour; those of xterm's palette for one that [Indexed]
// made. ok is false for the default colour.
func (c Color) Value() (r, g, b uint8, ok bool) {
	if i, indexed := c.Index(); indexed {
		c = (&palette{}).color(i)
	}
	return c.RGB()
}
