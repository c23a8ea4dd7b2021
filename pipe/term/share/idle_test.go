package share_test

import (
	"sync/atomic"
	"testing"
	"time"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto/wire"
)

// A viewer that asks is told once for all that it has typed that no job has the
// foreground, and not while one has it.
func TestIdle(t *testing.T) {
	t.Parallel()
	var job atomic.Bool
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{
		Input: in, Foreground: func() int { return 7 },
		HasJob: func(before int) bool {
			if before != 7 {
				t.Errorf("asked about %d, want 7", before)
			}
			return job.Load()
		},
	})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermRaw, Idle: true})
	older := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermRaw})
	reader := r.View(share.Visitor{ID: "mk1reader", Caps: sharetest.MayView}, wire.TermOpen{Mode: wire.TermRaw, Idle: true})
	v.Wait("idle before input", func() bool { return len(v.Idle) == 1 })

	job.Store(true)
	v.TypeKeys("make\r")
	r.Output([]byte("made"))
	v.Wait("input accepted", func() bool { return v.Ctl.Typed == 5 })
	held := time.NewTimer(time.Second)
	defer held.Stop()
	<-held.C
	v.Wait("nothing while a job runs", func() bool { return len(v.Idle) == 1 })

	job.Store(false)
	v.Wait("idle after the job", func() bool { return len(v.Idle) == 2 })
	v.TypeKeys("x")
	v.Wait("idle after more input", func() bool { return len(v.Idle) == 3 })
	for _, other := range []*sharetest.Viewer{v, older, reader} {
		other.Wait("all output", func() bool { return other.Seq == 4 })
	}
	want := []wire.TermIdle{{}, {Typed: 5, Seq: 4}, {Typed: 6, Seq: 4}}
	for i, got := range v.Idle {
		if got != want[i] {
			t.Errorf("TERM_IDLE %d is %+v, want %+v", i, got, want[i])
		}
	}
	if len(older.Idle) > 0 || len(reader.Idle) > 0 {
		t.Errorf("a viewer that did not ask got %v, one that may not type %v", older.Idle, reader.Idle)
	}
}

// During a pause viewers do not learn what runs.
func TestIdlePaused(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{
		Input: new(typed), Foreground: func() int { return 7 },
		HasJob: func(int) bool { return true },
	})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermRaw, Idle: true})
	r.Pause(true)
	r.Output([]byte("secret"))
	v.TypeKeys("x")
	v.Wait("idle in spite of the job", func() bool { return len(v.Idle) > 0 && v.Idle[len(v.Idle)-1].Typed == 1 })
	for _, m := range v.Idle {
		if m.Seq != 0 {
			t.Errorf("got %+v, want nothing about the output", m)
		}
	}
}

// A sharer that knows nothing of jobs tells that nothing holds the viewer.
func TestIdleUnknown(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{Input: new(typed)})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen, Idle: true})
	v.TypeKeys("x")
	v.Wait("idle", func() bool { return len(v.Idle) > 0 && v.Idle[len(v.Idle)-1].Typed == 1 })
}
