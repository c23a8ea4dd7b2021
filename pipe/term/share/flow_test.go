package share_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto/wire"
)

// Whoever may type is told when Ctrl-S has stopped the output, and nobody when it has not.
func TestStoppedOutput(t *testing.T) {
	t.Parallel()
	keys := share.Flow{Stop: 0x13, Continue: []byte{0x11, 0x03}}
	anyKey := share.Flow{Stop: 0x13, Continue: []byte{0x11}, AnyOthers: true}
	for _, tt := range []struct {
		name   string
		flow   share.Flow
		typed  string
		output []time.Duration // the command prints so long after that
		want   bool
	}{
		{"Ctrl-S", keys, "\x13", nil, true},
		{"what was on its way", keys, "\x13", []time.Duration{time.Millisecond, 900 * time.Millisecond}, true},
		{"keys after it", keys, "\x13ls\r", nil, true},
		{"Ctrl-Q", keys, "\x13\x11", nil, false},
		{"Ctrl-C", keys, "\x13\x03", nil, false},
		{"Ctrl-S again", keys, "\x13\x11\x13", nil, true},
		{"no Ctrl-S", keys, "ls\r", nil, false},
		{"it stops nothing here", share.Flow{}, "\x13", nil, false},
		{"any key continues", anyKey, "\x13x", nil, false},
		{"any key but that", anyKey, "\x13\x13", nil, true},
		{"the output goes on", keys, "\x13", []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 2500 * time.Millisecond, 3500 * time.Millisecond, 4500 * time.Millisecond}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var held bool
				r := sharetest.NewRoom(t, share.Options{
					Input: new(typed), Flow: func() share.Flow { return tt.flow },
					Changed: func(s share.Status) { mu.Lock(); held = s.Held; mu.Unlock() },
				})
				controls := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
				views := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
				raw := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermRaw})
				controls.TypeKeys(tt.typed)
				synctest.Wait()
				start := time.Now()
				for _, at := range tt.output {
					<-time.After(at - time.Since(start))
					r.Output([]byte("more\r\n"))
				}
				<-time.After(5*time.Second - time.Since(start))
				synctest.Wait()
				mu.Lock()
				if held != tt.want {
					t.Errorf("the sharer is told %v, want %v", held, tt.want)
				}
				mu.Unlock()
				if got := told(controls); got != tt.want {
					t.Errorf("a viewer that may type is told %v, want %v", got, tt.want)
				}
				if told(views) || told(raw) {
					t.Errorf("a viewer is told that may not type: %v, or shows no picture: %v", told(views), told(raw))
				}
				for _, v := range []*sharetest.Viewer{controls, views, raw} {
					v.Leave()
				}
			})
		})
	}
}

func told(v *sharetest.Viewer) bool {
	v.Lock()
	defer v.Unlock()
	return strings.Contains(strings.Join(v.Notices, "\n"), "Ctrl-Q")
}
