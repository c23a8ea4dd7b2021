package ratelimit

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"mesh/proto"
)

// Least is the smallest rate: a whole chunk takes 10 seconds.
const Least = proto.MaxChunkBytes/10 + 1

// Schedule is rates in bytes per second by local time. The zero value limits nothing.
type Schedule struct{ rows []row }

// row is one rate, and when it holds.
type row struct {
	days     [7]bool // by [time.Weekday]
	from, to int     // minutes of the day; a time that ends before it begins ends on the next day
	rate     int64   // 0 for no limit
}

const minutesOfDay = 24 * 60

// ParseSchedule parses rates with commas between them, each behind the days and the time
// in which it holds: "4M, 08:00-18:00 512k, Sa-Su 0". K, M and G are powers of 1024, and 0
// is no limit. The last one that holds at a time decides.
func ParseSchedule(text string) (s Schedule, err error) {
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		if len(words) == 0 {
			return Schedule{}, proto.Errorf(proto.Usage, "%q has no rate between commas", text)
		}
		r := row{days: [7]bool{true, true, true, true, true, true, true}, to: minutesOfDay}
		if r.rate, err = parseRate(words[len(words)-1]); err != nil {
			return Schedule{}, err
		}
		when := words[:len(words)-1]
		if len(when) > 0 && !strings.Contains(when[0], ":") {
			if r.days, err = parseDays(when[0]); err != nil {
				return Schedule{}, err
			}
			when = when[1:]
		}
		if len(when) > 0 {
			if r.from, r.to, err = parseTimes(when[0]); err != nil {
				return Schedule{}, err
			}
			when = when[1:]
		}
		if len(when) > 0 {
			return Schedule{}, proto.Errorf(proto.Usage, "%q is not days, a time and a rate, as in Mo-Fr 08:00-18:00 512k", strings.TrimSpace(part))
		}
		s.rows = append(s.rows, r)
	}
	return s, nil
}

// parseRate parses a number of bytes per second.
func parseRate(word string) (int64, error) {
	number, unit := word, int64(1)
	if n := len(word); n > 0 {
		if i := strings.IndexByte("kmg", word[n-1]|0x20); i >= 0 {
			number, unit = word[:n-1], 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > math.MaxInt64/uint64(unit) {
		return 0, proto.Errorf(proto.Usage, "%q is not a rate like 512k or 4M, in bytes per second", word)
	}
	rate := int64(n) * unit
	if rate > 0 && rate < Least {
		return 0, proto.Hint(proto.Errorf(proto.Usage, "%s bytes per second is less than the smallest rate, %d", word, Least), "512k is 512 KiB per second, and 0 no limit")
	}
	return rate, nil
}

var dayNames = []string{"su", "mo", "tu", "we", "th", "fr", "sa"}

// parseDays parses a day, or the first and the last one of several.
func parseDays(word string) (days [7]bool, err error) {
	first, last, several := strings.Cut(strings.ToLower(word), "-")
	if !several {
		last = first
	}
	from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
	if from < 0 || to < 0 {
		return days, proto.Errorf(proto.Usage, "%q is neither days like Mo, Sa-Su, nor a time like 08:00-18:00", word)
	}
	for day := from; ; day = (day + 1) % len(days) {
		days[day] = true
		if day == to {
			return days, nil
		}
	}
}

// parseTimes parses the time from 08:00 to 18:00, as minutes of the day.
func parseTimes(word string) (from, to int, err error) {
	first, last, _ := strings.Cut(word, "-")
	from, begins := parseTime(first)
	to, ends := parseTime(last)
	if !begins || !ends || from == to || from == minutesOfDay {
		return 0, 0, proto.Errorf(proto.Usage, "%q is not a time like 08:00-18:00", word)
	}
	return from, to, nil
}

func parseTime(text string) (minutes int, ok bool) {
	hour, minute, _ := strings.Cut(text, ":")
	h, herr := strconv.ParseUint(hour, 10, 8)
	m, merr := strconv.ParseUint(minute, 10, 8)
	minutes = int(h)*60 + int(m)
	return minutes, herr == nil && merr == nil && m < 60 && minutes <= minutesOfDay && len(minute) == 2
}

// At returns the rate at a time, 0 for no limit.
func (s Schedule) At(now time.Time) (rate int64) {
	for _, r := range s.rows {
		if r.holds(now) {
			rate = r.rate
		}
	}
	return rate
}

// holds reports whether a row is for a time. The days are those on which its time begins.
func (r row) holds(now time.Time) bool {
	minute := now.Hour()*60 + now.Minute()
	today, yesterday := r.days[now.Weekday()], r.days[(now.Weekday()+6)%7]
	if r.from < r.to {
		return today && r.from <= minute && minute < r.to
	}
	return today && minute >= r.from || yesterday && minute < r.to
}

// Most returns the largest rate at any time, 0 if there is no limit at some time.
func (s Schedule) Most() (most int64) {
	for day := range 7 {
		for minute := range minutesOfDay {
			rate := s.At(time.Date(2026, 1, 4+day, 0, minute, 0, 0, time.UTC))
			if rate == 0 {
				return 0
			}
			most = max(most, rate)
		}
	}
	return most
}

// limits reports whether there is a limit at some time.
func (s Schedule) limits() bool {
	return slices.ContainsFunc(s.rows, func(r row) bool { return r.rate > 0 })
}
