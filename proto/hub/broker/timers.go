package broker

import (
	"container/heap"
	"time"
)

// timers are functions to call at a time, the earliest first.
type timers []timer

type timer struct {
	at time.Time
	do func(now time.Time)
}

// at calls do in the first sweep at or after the time. What has become pointless by then
// must see that for itself.
func (t *timers) at(at time.Time, do func(now time.Time)) { heap.Push(t, timer{at, do}) }

func (t *timers) run(now time.Time) {
	for len(*t) > 0 && !(*t)[0].at.After(now) {
		heap.Pop(t).(timer).do(now)
	}
}

// Len implements [heap.Interface].
func (t timers) Len() int { return len(t) }

// Less implements [heap.Interface].
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }

// Swap implements [heap.Interface].
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }

// Push implements [heap.Interface].
func (t *timers) Push(x any) { *t = append(*t, x.(timer)) }

// Pop implements [heap.Interface].
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*t = old[:len(old)-1]
	return last
}
