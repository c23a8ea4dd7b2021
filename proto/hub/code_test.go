package hub_test

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// The list is what codes are spelled with for ever: 1296 words, each
// told by its first three letters.
func TestWordList(t *testing.T) {
	t.Parallel()
	all := hub.CompleteWord("")
	if len(all) != hub.NumWords {
		t.Errorf("got %d words, want %d", len(all), hub.NumWords)
	}
	seen := map[string]string{}
	for _, w := range all {
		if strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" || len(w) < 3 || !hub.IsWord(w) {
			t.Errorf("%q is no word of a code", w)
		} else if old := seen[w[:3]]; old != "" {
			t.Errorf("%q begins as %q", w, old)
		} else {
			seen[w[:3]] = w
		}
	}
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(all, "\n"))))
	if want := "e298b97fdd0dfeb65678c8aaf7cfb010c1831111a28f1b936abc191c5eb7d3af"; sum != want {
		t.Errorf("the list has changed: got SHA-256 %s, want %s", sum, want)
	}
	for _, w := range []string{"", "guita", "guitars", "Guitar", "yo-yo"} {
		if hub.IsWord(w) {
			t.Errorf("IsWord(%q): got true, want false", w)
		}
	}
	if got := hub.CompleteWord("gui"); !slices.Equal(got, []string{"guitar"}) {
		t.Errorf(`words with "gui": got %q, want "guitar"`, got)
	}
	if got := hub.CompleteWord("zzz"); len(got) > 0 {
		t.Errorf(`words with "zzz": got %q, want none`, got)
	}
}

// The words of a key are the digits of its hash to the base of the list's length, the
// last digit first.
func TestKeyWords(t *testing.T) {
	t.Parallel()
	id := identity.ID{1, 2, 3}
	got := hub.KeyWords(id)
	sum := sha256.Sum256(append([]byte("mesh-hub/1 words"), id[:]...))
	low := new(big.Int).Exp(big.NewInt(hub.NumWords), big.NewInt(hub.KeyWordCount), nil)
	want := low.Mod(new(big.Int).SetBytes(sum[:]), low)
	back := new(big.Int)
	for _, w := range slices.Backward(got) {
		at := slices.Index(hub.CompleteWord(""), w)
		back.Add(back.Mul(back, big.NewInt(hub.NumWords)), big.NewInt(int64(at)))
	}
	if len(got) != hub.KeyWordCount || back.Cmp(want) != 0 {
		t.Errorf("got %q, which is %d; want %d", got, back, want)
	}
	if text, want := strings.Join(got, "-"), "luggage-seismology-exorcist-faucet-rehydrate-laryngitis-babbling-ashamed"; text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if other := hub.KeyWords(identity.ID{1, 2, 4}); slices.Equal(other, got) {
		t.Error("two keys have the same words")
	}
}

func TestParseCode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"7-guitar-croissant-lunchbox":                   "7-guitar-croissant-lunchbox",
		"7-GUITAR-Croissant-lunchbox":                   "7-guitar-croissant-lunchbox",
		"999999-yoyo-yoyo-yoyo":                         "999999-yoyo-yoyo-yoyo",
		"7-guitar-croissant-lunchbox@Hub.example":       "7-guitar-croissant-lunchbox@hub.example",
		"7-guitar-croissant-lunchbox@hub.example:443":   "7-guitar-croissant-lunchbox@hub.example",
		"7-guitar-croissant-lunchbox@hub.example:8443":  "7-guitar-croissant-lunchbox@hub.example:8443",
		"7-guitar-croissant-lunchbox@[2001:db8::1]":     "7-guitar-croissant-lunchbox@[2001:db8::1]",
		"7-guitar-croissant-lunchbox@":                  "",
		"7-guitar-croissant-lunchbox@a@b":               "",
		"7-guitar-croissant-lunchbox@a/b":               "",
		"7-guitar-croissant-lunchbox@a#mk1":             "",
		"7-guitar-croissant-lunchbox@a b":               "",
		"7-guitar-croissant-lunchbox@a:0":               "",
		"0-guitar-croissant-lunchbox":                   "",
		"07-guitar-croissant-lunchbox":                  "",
		"1000000-guitar-croissant-lunchbox":             "",
		"7-guitar-croissant":                            "",
		"7-guitar-croissant-lunchbox-lunchbox":          "",
		"7-guitar-croissant-":                           "",
		"7--guitar-croissant-lunchbox":                  "",
		"-7-guitar-croissant-lunchbox":                  "",
		" 7-guitar-croissant-lunchbox":                  "",
		"7-guitar-croissant-lunchbox\n":                 "",
		"7-guitar-croissant-luna":                       "",
		"7-gui-cro-lun":                                 "",
		"٧-guitar-croissant-lunchbox":                   "",
		"7-guitar-croissant-yo-yo":                      "",
		"7-" + strings.Repeat("a", 1<<20) + "-guitar-a": "",
		"": "",
	} {
		c, err := hub.ParseCode(text)
		if got := c.Encode(); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%.80q: got %q, %v; want %q", text, got, err, want)
		}
		if err != nil {
			xtest.WantCode(t, "parse", err, proto.Usage)
		}
	}
}

// A mistyped word is named, with those that begin as it does; the others are not.
func TestMistypedCode(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"croisant": "in the list are croissant", "croisasnt": "in the list are croissant", // by spelling
		"coissant": "in the list are croissant", "crispy": "in the list are cr", "croiss": "in the list are croissant", // by beginning
		"xqzw": "", "q": "",
	} {
		_, err := hub.ParseCode("7-guitar-" + typed + "-lunchbox")
		wantError(t, "parse "+typed, err, typed)
		if hint := strings.Join(proto.Hints(err), "; "); !strings.HasPrefix(hint, want) || want == "" && hint != "" || strings.Contains(hint+err.Error(), "lunchbox") {
			t.Errorf("got %v, hint %q; want %q and not lunchbox", err, hint, want)
		}
	}
}

func TestNewCode(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		c := hub.NewCode(42, "")
		if again, err := hub.ParseCode(c.Encode()); err != nil || again != c {
			t.Fatalf("%s: got %+v, %v", c.Encode(), again, err)
		}
		if !hub.IsCode(c.Encode()) || hub.CheckName(c.Encode()) == nil {
			t.Errorf("%s is taken for a name", c.Encode())
		}
		seen[c.Words] = true
	}
	if len(seen) < 99 {
		t.Errorf("100 codes have %d different words", len(seen))
	}
	c := hub.Code{Plate: 7, Words: "guitar-croissant-lunchbox"}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%#v", c), fmt.Sprintf("%+v", c), c.LogValue().String()} {
		if strings.Contains(text, "guitar") {
			t.Errorf("the words are printed: %s", text)
		}
	}
}

func FuzzCode(f *testing.F) {
	for _, s := range []string{"7-guitar-croissant-lunchbox", "7-guitar-croissant-lunchbox@hub.example:1", "1-A-b-c@[::1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := hub.ParseCode(text)
		if err != nil {
			return
		}
		if again, err := hub.ParseCode(c.Encode()); err != nil || again != c || !hub.IsCode(text) {
			t.Fatalf("%q: got %q, %v; want %q", text, again.Encode(), err, c.Encode())
		}
	})
}
