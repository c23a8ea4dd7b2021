package ratelimit_test

import (
	"math"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe/ratelimit"
	"mesh/proto"
	"mesh/proto/xtest"
)

func schedule(t *testing.T, text string) ratelimit.Schedule {
	t.Helper()
	s, err := ratelimit.ParseSchedule(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	const seed = "4M, 08:00-18:00 512k, Sa-Su 0"
	for _, tt := range []struct {
		text, at string // of the week of Monday, 5 January 2026
		want     int64
	}{
		{"4M", "05 00:00", 4 << 20},
		{"30000", "05 00:00", 30000},
		{"1g", "05 00:00", 1 << 30},
		{"0", "05 00:00", 0},
		{seed, "05 07:59", 4 << 20},
		{seed, "05 08:00", 512 << 10},
		{seed, "09 17:59", 512 << 10},
		{seed, "09 18:00", 4 << 20},
		{seed, "10 12:00", 0},
		{seed, "11 23:59", 0},
		{"22:00-06:00 1M", "05 23:00", 1 << 20},
		{"22:00-06:00 1M", "05 05:59", 1 << 20},
		{"22:00-06:00 1M", "05 06:00", 0},
		{"Fr 22:00-06:00 1M", "10 05:00", 1 << 20}, // the night that begins on Friday
		{"Fr 22:00-06:00 1M", "09 05:00", 0},
		{"Sa-Mo 1M", "05 12:00", 1 << 20},
		{"Sa-Mo 1M", "06 12:00", 0},
		{"mo 00:00-24:00 1m", "05 23:59", 1 << 20},
		{"2M, 1M", "05 00:00", 1 << 20}, // the last one
	} {
		at, err := time.Parse("2006-01-02 15:04", "2026-01-"+tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := schedule(t, tt.text).At(at); got != tt.want {
			t.Errorf("%s at %s: got %d, want %d", tt.text, at.Format("Mon 15:04"), got, tt.want)
		}
	}
	for _, text := range []string{
		"", ",", "4M,", "x", "4MB", "-1", "4.5M", "512", "26214", "1k", "99999999999999999999", "9999999999G", "08:00 1M", "8-18 1M", "08:00-08:00 1M", "24:00-01:00 1M",
		"08:60-09:00 1M", "25:00-26:00 1M", "08:0-09:00 1M", "Xx 1M", "Mo-Xx 1M", "Mo Tu 1M", "08:00-18:00 Mo 1M", "Mo 08:00-18:00 x 1M", "08:00-18:00", "Mo 1M 2M",
	} {
		_, err := ratelimit.ParseSchedule(text)
		xtest.WantCode(t, text, err, proto.Usage)
	}
	for text, want := range map[string]int64{"4M": 4 << 20, seed: 0, "1M, 08:00-18:00 2M": 2 << 20, "08:00-18:00 2M": 0} {
		if got := schedule(t, text).Most(); got != want {
			t.Errorf("the most of %s: got %d, want %d", text, got, want)
		}
	}
}

// move takes bytes by pieces for as long as d, in several goroutines, as the links of one
// transfer do. It returns how many.
func move(s *ratelimit.Share, links int, d time.Duration) (moved int64) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for range links {
		wg.Go(func() {
			for {
				n := s.Piece()
				s.Take(int(n), nil)
				if time.Now().After(end) {
					return
				}
				mu.Lock()
				moved += n
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return moved
}

func near(got, want int64, percent float64) bool {
	return math.Abs(float64(got-want)) <= float64(want)*percent/100
}

// TestRate holds each rate within 2 % over 10 s, whatever the number of links.
func TestRate(t *testing.T) {
	t.Parallel()
	for _, rate := range []int64{ratelimit.Least, 100_000, 512 << 10, 4 << 20, 100 << 20, 1 << 30} {
		for _, links := range []int{1, 5} {
			synctest.Test(t, func(t *testing.T) {
				s, err := ratelimit.ParseSchedule(strconv.FormatInt(rate, 10))
				if err != nil {
					t.Fatal(err)
				}
				got := move(ratelimit.New(s).Share(), links, 10*time.Second)
				if want := 10 * rate; !near(got, want, 2) {
					t.Errorf("%d bytes/s over %d links: got %d in 10 s, want %d", rate, links, got, want)
				}
			})
		}
	}
}

// TestLate holds a rate although the machine is busy, and lets little through at once after a
// long pause.
func TestLate(t *testing.T) {
	t.Parallel()
	for _, rate := range []int64{ratelimit.Least, 10 << 20, 1 << 30} {
		synctest.Test(t, func(t *testing.T) {
			s := ratelimit.New(schedule(t, strconv.FormatInt(rate, 10))).Share()
			begun := time.Now()
			late := begun
			var moved int64
			for time.Since(begun) < 10*time.Second {
				n := s.Piece()
				s.Take(int(n), nil)
				moved += n
				if time.Since(late) > 200*time.Millisecond {
					<-time.After(90 * time.Millisecond)
					late = time.Now()
				}
			}
			if want := 10 * rate; !near(moved, want, 2) {
				t.Errorf("%d bytes/s: got %d in 10 s, want %d", rate, moved, want)
			}
			<-time.After(time.Hour)
			if got, want := move(s, 1, 10*time.Second), 10*rate; !near(got, want, 2) {
				t.Errorf("%d bytes/s: got %d in the 10 s after an hour, want %d", rate, got, want)
			}
		})
	}
}

// TestFair gives each transfer of a daemon the same, whatever the number of its links.
func TestFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(schedule(t, "1M"))
		links := []int{1, 1, 8, 16}
		got := make([]int64, len(links))
		var wg sync.WaitGroup
		for i, n := range links {
			s := l.Share()
			wg.Go(func() { got[i] = move(s, n, 10*time.Second) })
		}
		wg.Wait()
		for i, n := range got {
			if want := int64(10<<20) / int64(len(links)); !near(n, want, 2) {
				t.Errorf("a transfer over %d links: got %d bytes, want %d", links[i], n, want)
			}
		}
	})
}

// TestTimetable changes the rate while a transfer runs, 10 s later at most.
func TestTimetable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now().Local()
		change := begin.Truncate(time.Minute).Add(5 * time.Minute)
		text := "1M, " + change.Format("15:04") + "-" + change.Add(2*time.Minute).Format("15:04") + " 100k, " +
			change.Add(2*time.Minute).Format("15:04") + "-" + change.Add(4*time.Minute).Format("15:04") + " 0"
		l := ratelimit.New(schedule(t, text))
		s := l.Share()
		if got, want := move(s, 1, 10*time.Second), int64(10<<20); !near(got, want, 2) {
			t.Errorf("before: got %d bytes in 10 s, want %d", got, want)
		}
		<-time.After(time.Until(change.Add(15 * time.Second)))
		_ = move(s, 1, time.Second)
		if got, want := move(s, 1, 10*time.Second), int64(1000<<10); !near(got, want, 2) {
			t.Errorf("after the change: got %d bytes in 10 s, want %d", got, want)
		}
		<-time.After(time.Until(change.Add(2*time.Minute + 15*time.Second)))
		if got := l.Rate(); got != 0 {
			t.Errorf("a time without a limit: got %d", got)
		}
		begun := time.Now()
		s.Take(1<<18, nil)
		if took := time.Since(begun); took != 0 {
			t.Errorf("a time without a limit: waited %v", took)
		}
	})
}

// TestDone ends a wait, and gives back what was not moved.
func TestDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(schedule(t, "100k"))
		done := make(chan struct{})
		close(done)
		first, second := l.Share(), l.Share()
		first.Take(int(first.Piece()), nil)
		begun := time.Now()
		for range 1000 {
			first.Take(int(first.Piece()), done)
		}
		second.Take(int(second.Piece()), nil)
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("got %v, want the time of one piece", took)
		}
	})
}

func TestNone(t *testing.T) {
	t.Parallel()
	if l := ratelimit.New(schedule(t, "0, Mo 0")); l != nil {
		t.Errorf("no limit at any time: got %v, want nil", l)
	}
	var l *ratelimit.Limiter
	l.Share().Take(1<<30, nil)
	if got := l.Share().Piece(); got != proto.MaxChunkBytes || l.Rate() != 0 {
		t.Errorf("no limit: got a piece of %d and a rate of %d", got, l.Rate())
	}
}

// TestSet replaces the schedule of a transfer that goes on: each rate holds from then on.
func TestSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.NewVariable(ratelimit.Schedule{})
		s := l.Share()
		begin := time.Now()
		for range 100 {
			s.Take(int(s.Piece()), nil)
		}
		if took := time.Since(begin); took != 0 || l.Rate() != 0 {
			t.Errorf("without a limit: took %v at %d bytes/s, want no time", took, l.Rate())
		}
		for _, text := range []string{"1M", "100000", "30000, 00:00-24:00 4M", "512k"} {
			l.Set(schedule(t, text))
			want := 10 * l.Rate()
			if got := move(s, 3, 10*time.Second); !near(got, want, 3) || want == 0 {
				t.Errorf("%s: got %d bytes in 10 s, want %d", text, got, want)
			}
		}
		l.Set(ratelimit.Schedule{})
		begin = time.Now()
		s.Take(int(s.Piece()), nil)
		if took := time.Since(begin); took != 0 || s.Piece() != proto.MaxChunkBytes {
			t.Errorf("without a limit again: took %v, pieces of %d", took, s.Piece())
		}
		var none *ratelimit.Limiter
		none.Set(schedule(t, "1M"))
		if none.Rate() != 0 {
			t.Errorf("a nil limiter: got %d bytes/s", none.Rate())
		}
	})
}
