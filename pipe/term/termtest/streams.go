package termtest

import "strings"

// Streams are outputs that use the features of terminals.
var Streams = []string{
	"hello\r\nworld",
	"\x1b[1;31mred\x1b[0m plain \x1b[48;5;200mback\x1b[K\r\n\x1b[38;2;1;2;3mrgb\x1b[0m",
	"\x1b[4:3;58:2::1:2:3mcurly\x1b[0;21mdouble\x1b[9mstrike\x1b[53mover\x1b[7mrev\x1b[8mhid\x1b[2mdim\x1b[3mit\x1b[5mblink",
	"漢字 wide\r\n\x1b[1;2Hx\x1b[2;79H漢\x1b[3;80H漢",
	"e\u0301 a\u0308 👩\u200d👩\u200d👧 ❤\ufe0f 🇩🇪 \u0301alone",
	"\x1b[2J\x1b[10;10Hhere\x1b[?25l",
	"\x1b[?25h\x1b[5 q\x1b[1;1H\x1b[2K",
	strings.Repeat("line\r\n", 30) + "\x1b[41m\x1b[J\x1b[m",
	"\x1b[?1049h\x1b[Halt\x1b[?1049l",
	"\x1b]8;;https://a.example\x1b\\link\x1b]8;;\x1b\\",
	strings.Repeat("x", 80) + "y\x1b[24;80Hcorner",
	"\x1b(0lqqqk\x1b(B\x0e\x0f",
}

// Hostile are outputs with which a program, or a sharer, may attack a viewer's terminal.
var Hostile = []string{
	"\x1b]52;c;cm0gLXJmIH4K\x07", "\x1b]0;title\x07", "\x1b]2;title\x1b\\", "\x1b]1337;File=:AAAA\x07", "\x1b]777;notify;a;b\x07", "\x1b]9;x\x07",
	"\x1bP$qm\x1b\\", "\x1bP+q544e\x1b\\", "\x1bPq#0;2;0;0;0~~@@vv\x1b\\", "\x1bP1$r0m\x1b\\", "\x1b_Gf=24,s=1,v=1;AAAA\x1b\\", "\x1b^pm\x1b\\", "\x1bXsos\x1b\\",
	"\x1b[c", "\x1b[>c", "\x1b[=c", "\x1b[5n", "\x1b[6n", "\x1b[?6n", "\x1b[18t", "\x1b[21t", "\x1b[8;10;10t", "\x1b[?1$p", "\x1b[>q", "\x1b[?u", "\x1b[>1u", "\x1b[=1u",
	"\x1b]10;?\x07", "\x1b]11;?\x07", "\x1b]4;1;?\x07", "\x1b[?2031h", "\x1b[?2048h", "\x1b[?996n", "\x05", "\x1bZ", "\x1b[0x", "\x1b[1;1;1;1;1;1*y",
	"\u202eevil\u202c\u2066x\u2069", "\u200b\u200e\u061c\ufeff", "a\U000e0041\U000e007f", "\u0085\u009b6n\u009d0;x\u009c", "\x9b6n", "\x90q\x9c",
	"\x1b[?1003h\x1b[?1006h", "\x1b[?5h", "\x1b#8", "\x1b[4i", "\x1b[5i", "\x1b[?3h", "\x1bc", "\x1b[!p", "\x1b[12l", "\x1b[2l", "\a",
	"\x1b]8;;javascript:alert(1)\x07x\x1b]8;;\x07", "\x1b]8;id=\x00\x1b;https://a.example/\u009b6n\x07x\x1b]8;;\x07", "\x1b]8;;https://a.example/\u202ex\x07xy",
	"\x1b]" + strings.Repeat("A", 1<<17),
	"\x1b\\\x1b[m", "\u2028\u2029", "\x7f\x00", "\ufffe\U0010ffff", "a" + strings.Repeat("\u0301", 200), "\ud7ff\ue000\uf8ff",
}
