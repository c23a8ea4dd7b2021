//go:build unix

package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"
	"time"

	"mesh/scripts/internal/measure"
)

const hubHelp = `
usage: scripts/bench hub [FLAG...]

Measures mesh-hub serve with thousands of members, all on this machine over the
loopback interface. The members are agents of this source, each with a key and an
address 127.x.y.z of its own. In this order:

  login    CPU time of the hub for a login: TLS, WebSocket, signatures
  session  CPU time for a session, and the time from the request to "created". The
           members share the machine with the hub: if they begin sessions late,
           the rate is halved until they keep up, and the time is of that rate
  change   the time to register a new name, which is on the disk then
  cut      all connections are cut at once: the time until all are back, and the CPU
           time of the hub and of the members until then
  memory   of another hub that holds the same connections, idle
  bare     login and session again, with fewer members, in turns with a bare server:
           the smallest one that these members can use. It has the same TLS, WebSocket,
           signatures and events, and nothing else. CPU time depends on the machine and
           on what else it does; its ratio to that of the bare server hardly does

It prints Markdown tables. With the defaults it takes about two minutes on two
cores, --against another one. It needs Linux.`

// What is measured of a hub. Times are in milliseconds unless the name has a unit.
const (
	loginCPU    = "login, CPU ms"
	sessionCPU  = "session, CPU ms"
	sessionTime = "session, ms"
	sessionRate = "sessions a second"
	benchCPU    = "session, CPU ms of the members"
	beginLate   = "sessions begin late, p99, ms"
	checkTime   = "Ed25519 verification, CPU ms"
	changeTime  = "change, ms"
	cutTime     = "back after a cut, s"
	cutFailed   = "failed attempts after a cut"
	cutCPU      = "its CPU s"
	cutBenchCPU = "CPU s of the members"
	connKiB     = "KiB a connection"
	busyKiB     = "KiB a connection after the logins"
	heldConns   = "connections held"

	// In turns with the bare server.
	besideLogin   = "login beside the bare server, CPU ms"
	besideSession = "session beside the bare server, CPU ms"
)

// The bars. Those of CPU time in ms hold on the machine that they were measured on; so the
// same two are held as ratios to the bare server: a prototype without store and limits took
// 0.48 and 0.142 ms there.
const (
	maxLoginRatio   = 0.6 / 0.48
	maxSessionRatio = 0.2 / 0.142

	maxConnKiB    = 40
	minHeld       = 5000
	maxLoginCPU   = 0.6
	maxSessionCPU = 0.2
	maxSessionP99 = 100
	maxCutSeconds = 15
	maxChangeP50  = 5
)

const (
	// limit bounds the time until all members are logged in.
	limit = 2 * time.Minute
	// spareFiles are the files that a process needs beside its connections.
	spareFiles = 500
	// memoryOfIdle is less memory than thousands of connections need, so that no garbage
	// stays. settleForIdle is the time for the last collections.
	memoryOfIdle  = "32MiB"
	settleForIdle = 5 * time.Second

	// maxLate is how late the members may begin a session, at the 99th percentile: beyond
	// it the time of a session says nothing of the hub. No rate below minRate is tried.
	maxLate = 20 * time.Millisecond
	minRate = 50

	changesToDo    = 100
	loginsAtOnce   = 64
	pairsOfMembers = 500

	// Of the comparison with the bare server. CPU time is counted in ticks of 10 ms.
	besideRounds  = 5
	besideMembers = 600
	besidePairs   = 150
	besideRate    = 500
	besideSeconds = 3
)

// hubSettings are the flags of the measurement of a hub.
type hubSettings struct {
	measure.Settings
	connections, rate, seconds int
}

// benchHub measures the hubs and prints the report.
func benchHub(ctx context.Context, args []string) (err error) {
	var s hubSettings
	flags := measure.NewFlags(hubHelp)
	s.AllFlags(flags)
	flags.IntVar(&s.connections, "connections", minHeld, "hold `N` idle connections")
	flags.IntVar(&s.rate, "rate", 1000, "begin `N` sessions a second")
	flags.IntVar(&s.seconds, "seconds", 5, "begin sessions for `N` seconds")
	if _, err := flags.Parse(args); err != nil {
		return err
	}
	if err := s.possible(); err != nil {
		return err
	}
	err = s.Prepare()
	defer os.RemoveAll(s.Dir)
	if err != nil {
		return err
	}
	fmt.Printf("# mesh-hub with %d members, on loopback\n\n- Machine: %s.\n", s.connections, measure.Machine())
	fmt.Printf(`- CPU time is that of the hub alone. A session is a request, an offer, an accept with 1,300 sealed bytes, and
  "created" for both ends; up to %d begin each second for %d s, among %d pairs of members.
- Memory is the resident memory of the hub less that of a hub without connections. The hub of the row "idle" has
  GOMEMLIMIT=%s, so that it keeps no garbage.
- A login has one Ed25519 verification. Its CPU time, measured between the others, tells how fast the processor is
  meanwhile.
- The bare server and the hub take turns, %d each, with %d members and %d sessions a second for %d s. The bare server
  has the TLS, WebSocket, signatures and events of the protocol, and nothing else: no store, limits, rooms, relay or log.
`, s.rate, s.seconds, pairsOfMembers, memoryOfIdle, besideRounds, besideMembers, besideRate, besideSeconds)
	tools := s.Tools(func(m measure.Mesh) *measure.Tool {
		return &measure.Tool{Name: "mesh-hub", Open: func(j measure.Job) (measure.Ends, error) {
			return measure.Ends{Recv: m.Command(j, "hub", "mesh-hub serve --listen HOST:0 --drain 0s")}, nil
		}}
	})
	err = measure.TakeTurns(ctx, "hub", 1, tools, func(t *measure.Tool) error { return s.measure(ctx, t) })
	if err != nil {
		return err
	}
	bare := bareTool()
	err = measure.TakeTurns(ctx, "beside the bare server", besideRounds, append([]*measure.Tool{bare}, tools...), func(t *measure.Tool) error { return s.beside(ctx, t) })
	if err != nil {
		return err
	}
	err = measure.WriteFailures(os.Stdout, append(tools, bare))
	return errors.Join(err, s.report(tools, bare))
}

// possible returns why this machine can't do the measurement, or nil.
func (s *hubSettings) possible() error {
	if runtime.GOOS != "linux" {
		return measure.Missing{What: "this is no Linux"}
	}
	if s.connections < 1 || s.rate < 1 || s.seconds < 1 {
		return measure.UsageError{Err: errors.New("--connections, --rate and --seconds are at least 1")}
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	if need := s.connections + 2*pairsOfMembers + spareFiles; uint64(files.Cur) < uint64(need) {
		return measure.Missing{What: fmt.Sprintf("a process may open %d files, and %d are needed", files.Cur, need)}
	}
	return nil
}

// measure measures one binary.
func (s *hubSettings) measure(ctx context.Context, t *measure.Tool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	members, err := newMembers(s.connections, 2*pairsOfMembers)
	if err != nil {
		return err
	}
	h, err := s.start(ctx, t, members)
	if err != nil {
		return err
	}
	defer h.Stop()
	empty, cpu := h.memory(), h.cpu()
	crowd := members.idle(ctx, h.url)
	defer crowd.stop()
	if err := crowd.logIn(ctx); err != nil {
		return err
	}
	t.Add(loginCPU, (h.cpu()-cpu)/float64(s.connections)*1e3)
	t.Add(busyKiB, (h.memory()-empty)/float64(s.connections))
	t.Add(checkTime, verification())
	if err := s.sessions(ctx, t, h, members); err != nil {
		return err
	}
	cpu, own := h.cpu(), ownCPU()
	back, failed, err := crowd.cut(ctx)
	if err != nil {
		return err
	}
	t.Add(cutCPU, h.cpu()-cpu)
	t.Add(cutBenchCPU, ownCPU()-own)
	t.Add(cutTime, back.Seconds())
	t.Add(cutFailed, float64(failed))
	crowd.stop()
	h.Stop()
	return s.idle(ctx, t, members)
}

// beside measures logins and sessions of a hub or a bare server with few members.
func (s *hubSettings) beside(ctx context.Context, t *measure.Tool) error {
	members, err := newMembers(besideMembers, 2*besidePairs)
	if err != nil {
		return err
	}
	h, err := s.start(ctx, t, members)
	if err != nil {
		return err
	}
	defer h.Stop()
	cpu := h.cpu()
	crowd := members.idle(ctx, h.url)
	defer crowd.stop()
	if err := crowd.logIn(ctx); err != nil {
		return err
	}
	t.Add(besideLogin, (h.cpu()-cpu)/besideMembers*1e3)
	pairs, err := members.pairs(ctx, h.url)
	if err != nil {
		return err
	}
	defer pairs.stop()
	cpu = h.cpu()
	if _, err := pairs.sessions(ctx, besideRate*besideSeconds, besideRate); err != nil {
		return err
	}
	t.Add(besideSession, (h.cpu()-cpu)/(besideRate*besideSeconds)*1e3)
	return nil
}

// sessions measures sessions and changes.
func (s *hubSettings) sessions(ctx context.Context, t *measure.Tool, h *hubProcess, m *members) error {
	pairs, err := m.pairs(ctx, h.url)
	if err != nil {
		return err
	}
	defer pairs.stop()
	for rate := s.rate; ; rate /= 2 {
		cpu, own, n := h.cpu(), ownCPU(), rate*s.seconds
		done, err := pairs.sessions(ctx, n, rate)
		if rate == s.rate {
			t.Add(sessionCPU, (h.cpu()-cpu)/float64(n)*1e3)
			t.Add(benchCPU, (ownCPU()-own)/float64(n)*1e3)
			t.Add(checkTime, verification())
		}
		late := done.late.Quantile(0.99)
		if late > measure.MS(maxLate) && rate/2 >= minRate && ctx.Err() == nil {
			continue // sessions may have failed too: there was no time for them
		}
		if err != nil {
			return err
		}
		t.Add(beginLate, late)
		t.Add(sessionRate, float64(rate))
		for _, ms := range done.took {
			t.Add(sessionTime, ms)
		}
		break
	}
	times, err := pairs.changes(ctx, changesToDo)
	for _, d := range times {
		t.Add(changeTime, measure.MS(d))
	}
	return err
}

// ownCPU returns the CPU time of this process, which is that of the members, in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return math.NaN()
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// idle measures the memory of a hub that does nothing but hold connections.
func (s *hubSettings) idle(ctx context.Context, t *measure.Tool, m *members) error {
	h, err := s.start(ctx, t, m, "GOMEMLIMIT="+memoryOfIdle)
	if err != nil {
		return err
	}
	defer h.Stop()
	empty := h.memory()
	crowd := m.idle(ctx, h.url)
	defer crowd.stop()
	if err := crowd.logIn(ctx); err != nil {
		return err
	}
	select {
	case <-time.After(settleForIdle):
	case <-ctx.Done():
		return ctx.Err()
	}
	t.Add(connKiB, (h.memory()-empty)/float64(s.connections))
	t.Add(heldConns, float64(crowd.online()))
	return nil
}

func (s *hubSettings) report(tools []*measure.Tool, bare *measure.Tool) error {
	measure.WriteReport(os.Stdout, "hub", []measure.Column{
		measure.Quantile(loginCPU, 2, loginCPU, 0.5, 1), measure.Quantile(sessionCPU, 2, sessionCPU, 0.5, 1),
		measure.Quantile("of the members", 2, benchCPU, 0.5, 1), measure.Quantile("a verification", 3, checkTime, 0.5, 1),
		measure.Quantile("late p99, ms", 1, beginLate, 0.5, 1), measure.Quantile("sessions/s", 0, sessionRate, 0.5, 1),
		measure.Quantile("session p50, ms", 1, sessionTime, 0.5, 1), measure.Quantile("p99", 1, sessionTime, 0.99, 1),
		measure.Quantile("change p50, ms", 2, changeTime, 0.5, 1), measure.Quantile(cutTime, 1, cutTime, 0.5, 1),
		measure.Quantile(cutCPU, 1, cutCPU, 0.5, 1), measure.Quantile(cutBenchCPU, 1, cutBenchCPU, 0.5, 1), measure.Quantile(cutFailed, 0, cutFailed, 0.5, 1),
		measure.Quantile("idle, KiB a connection", 1, connKiB, 0.5, 1), measure.Quantile("after the logins", 1, busyKiB, 0.5, 1),
	}, tools)
	than := func(what string) func(*measure.Tool) float64 {
		return func(t *measure.Tool) float64 { return ratio(t.Median(what), bare.Median(what)) }
	}
	measure.WriteReport(os.Stdout, "beside the bare server", []measure.Column{
		measure.Quantile(loginCPU, 3, besideLogin, 0.5, 1),
		{Head: "× bare", Digits: 2, Of: than(besideLogin)},
		measure.Quantile(sessionCPU, 3, besideSession, 0.5, 1),
		{Head: "× bare", Digits: 2, Of: than(besideSession)},
	}, append(tools, bare))
	t := tools[0]
	bars := []measure.Bar{
		{What: connKiB, Got: t.Median(connKiB), Op: "≤", Limit: maxConnKiB},
		{What: heldConns, Got: t.Median(heldConns), Op: "≥", Limit: float64(s.connections)},
		{What: "login, CPU ÷ that of the bare server", Got: than(besideLogin)(t), Op: "≤", Limit: maxLoginRatio},
		{What: "session, CPU ÷ that of the bare server", Got: than(besideSession)(t), Op: "≤", Limit: maxSessionRatio},
		{What: loginCPU + " (bar of another machine)", Got: t.Median(loginCPU), Op: "≤", Limit: maxLoginCPU},
		{What: sessionCPU + " (bar of another machine)", Got: t.Median(sessionCPU), Op: "≤", Limit: maxSessionCPU},
		{What: sessionRate, Got: t.Median(sessionRate), Op: "≥", Limit: float64(s.rate)},
		{What: beginLate, Got: t.Median(beginLate), Op: "≤", Limit: measure.MS(maxLate)},
		{What: "session p99, ms", Got: t.Quantile(sessionTime, 0.99), Op: "≤", Limit: maxSessionP99},
		{What: cutTime, Got: t.Median(cutTime), Op: "≤", Limit: maxCutSeconds},
		{What: "change p50, ms", Got: t.Median(changeTime), Op: "≤", Limit: maxChangeP50},
	}
	for i, b := range bars { // how much of each bar is used
		bars[i].Note = cmp.Or(b.Note, fmt.Sprintf("%.2f of the bar", ratio(b.Got, b.Limit)))
	}
	if s.Check {
		return measure.CheckBars(os.Stdout, bars)
	}
	measure.WriteBars(os.Stdout, bars)
	return nil
}

// verification returns how many milliseconds of CPU time it takes to check a signature.
// What else this process does meanwhile is counted too, and is little.
func verification() float64 {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return math.NaN()
	}
	const n = 500
	text := make([]byte, sealedBytes)
	sig := ed25519.Sign(private, text)
	began := ownCPU()
	for range n {
		ed25519.Verify(public, text, sig)
	}
	return (ownCPU() - began) / n * 1e3
}

func ratio(got, limit float64) float64 {
	if limit == 0 {
		return math.NaN()
	}
	return got / limit
}
