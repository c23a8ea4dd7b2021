//go:build linux

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"
	"time"
)

// The model says what is told of a row of ends.
func TestTeller(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		what  string
		codes []int
		every time.Duration
		want  []string
	}{
		{"successes", []int{0, 0}, day, nil},
		{"below 10", []int{2, 0}, day, nil},
		{"one failure", []int{33, 0, 0}, day, []string{"db failed 33", "db works"}},
		{"one class", []int{10, 13, 12, 0}, time.Hour, []string{"db failed 10", "db works"}},
		{"two classes", []int{10, 33, 10, 0}, time.Hour, []string{"db failed 10", "db failed 33", "db failed 10", "db works"}},
		{"signals are no class", []int{141, 143}, time.Hour, []string{"db failed 141", "db failed 143"}},
		{"again after repeat", []int{33, 33, 33}, day, []string{"db failed 33", "db failed 33"}},
		{"at repeat", []int{33, 33}, repeat, []string{"db failed 33", "db failed 33"}},
		{"a clock set back", []int{33, 33}, -time.Second, []string{"db failed 33", "db failed 33"}},
	} {
		tell := newTeller()
		var got []string
		for i, code := range tt.codes {
			if text := tell.end("db", code, begun.Add(time.Duration(i)*tt.every)); text != "" {
				got = append(got, text)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte("1796000000.{}"))
	good := "t=1796000000,v1=" + hex.EncodeToString(mac.Sum(nil))
	for _, tt := range []struct {
		header, body string
		want         bool
	}{
		{good, "{}", true}, {good, "{} ", false}, {"", "{}", false}, {"t=1796000001" + good[len("t=1796000000"):], "{}", false},
	} {
		if got := signed(tt.header, []byte(tt.body)); got != tt.want {
			t.Errorf("%q, %q: got %v, want %v", tt.header, tt.body, got, tt.want)
		}
	}
}
