package pipe_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"mesh/pipe"
	"mesh/proto"
)

// sendModel runs a sendState against a peer that keeps the bytes sent to it.
type sendModel struct {
	*pipe.SendState
	r        *rand.Rand
	arrived  []bool // at the peer, for each byte
	gap      int64  // the first byte that has not arrived
	subflows []*pipe.Subflow
	size     int64
}

// inOrder returns how many bytes the peer has without a gap.
func (m *sendModel) inOrder() int64 {
	for m.gap < m.size && m.arrived[m.gap] {
		m.gap++
	}
	return m.gap
}

// step makes one event of a transfer happen.
func (m *sendModel) step() error {
	switch m.r.IntN(12) {
	case 0, 1: // the source
		m.End = min(m.size, m.End+m.r.Int64N(blockBytes/2))
		m.EOF = m.End == m.size
	case 2:
		if len(m.subflows) < 5 {
			m.subflows = append(m.subflows, m.AddSubflow(proto.ViaTCP, false))
		}
	case 3: // a flow is lost; its claimed bytes may have arrived in part
		if i := m.r.IntN(len(m.subflows)); i > 0 {
			m.lose(i)
		}
	case 4: // the peer's consumer takes some
		if offset := m.Acked() + m.r.Int64N(m.inOrder()-m.Acked()+1); m.MayAcknowledge(offset) {
			m.Acknowledge(offset)
		}
	case 5:
		if m.r.IntN(10) == 0 {
			return m.breakLeg()
		}
	default:
		return m.send(m.subflows[m.r.IntN(len(m.subflows))])
	}
	return nil
}

// send lets a subflow write its claimed bytes, or claim some.
func (m *sendModel) send(f *pipe.Subflow) error {
	if from, to := m.Claimed(f); to > 0 {
		m.arrive(from, to)
		m.MarkWritten(f)
		return nil
	}
	from, to := m.Claim(f)
	if to > 0 && from < m.Acked() {
		return fmt.Errorf("bytes %d to %d are sent, and %d were acknowledged", from, to, m.Acked())
	}
	return nil
}

func (m *sendModel) arrive(from, to int64) {
	for i := from; i < to; i++ {
		m.arrived[i] = true
	}
}

func (m *sendModel) lose(i int) {
	f := m.subflows[i]
	if from, to := m.Claimed(f); to > 0 && m.r.IntN(2) == 0 {
		m.arrive(from, from+m.r.Int64N(to-from))
	}
	m.RemoveSubflow(f)
	m.subflows = append(m.subflows[:i], m.subflows[i+1:]...)
}

// breakLeg loses all links, and resumes at the peer's offset. The peer keeps bytes behind
// a gap.
func (m *sendModel) breakLeg() error {
	for len(m.subflows) > 0 {
		m.lose(0)
	}
	m.subflows = append(m.subflows, m.AddSubflow(proto.ViaTCP, true))
	m.AwaitResume()
	if err := m.Check(); err != nil {
		return err
	}
	if m.MayAcknowledge(m.Acked()) || m.ResumeAt(m.Acked()-1) || m.ResumeAt(m.Highest()+1) {
		return fmt.Errorf("an acknowledgement before FILE_RESUME, or an impossible FILE_RESUME, was valid")
	}
	if offset := m.inOrder(); !m.ResumeAt(offset) {
		return fmt.Errorf("FILE_RESUME at %d was not valid with %d acknowledged and %d sent", offset, m.Acked(), m.Highest())
	}
	return nil
}

// Whatever happens to the links, each byte has exactly one place, and the
// transfer ends with all of them at the peer.
func TestSendState(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		m := &sendModel{SendState: pipe.NewSendState(2 * blockBytes), r: rand.New(rand.NewPCG(5, seed)), size: 5*blockBytes + 100}
		m.arrived = make([]bool, m.size)
		m.subflows = append(m.subflows, m.AddSubflow(proto.ViaTCP, true))
		steps := 0
		for ; m.Acked() < m.size && steps < 100_000; steps++ {
			err := m.step()
			if err == nil {
				err = m.Check()
			}
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, steps, err)
			}
			if m.Releasable() > m.Acked() {
				t.Fatalf("seed %d, step %d: bytes up to %d are released, %d are acknowledged", seed, steps, m.Releasable(), m.Acked())
			}
		}
		if m.Acked() < m.size {
			t.Errorf("seed %d: %d of %d bytes were acknowledged after %d steps", seed, m.Acked(), m.size, steps)
		}
	}
}

// Bytes of a block that is being filled go to the primary subflow alone.
func TestSendStateClaims(t *testing.T) {
	t.Parallel()
	const window = 2 * blockBytes
	for _, c := range []struct {
		name     string
		primary  bool
		end      int64
		eof      bool
		from, to int64
	}{
		{"nothing", true, 0, true, 0, 0},
		{"primary, part of a block", true, 1, false, 0, 1},
		{"flow, part of a block", false, 1, false, 0, 0},
		{"flow, almost a block", false, blockBytes - 1, false, 0, 0},
		{"flow, the last bytes", false, 1, true, 0, 1},
		{"flow, a block", false, blockBytes, false, 0, blockBytes},
		{"flow, more than a block", false, blockBytes + 1, false, 0, blockBytes},
	} {
		s := pipe.NewSendState(window)
		s.End, s.EOF = c.end, c.eof
		if from, to := s.Claim(s.AddSubflow(proto.ViaTCP, c.primary)); from != c.from || to != c.to {
			t.Errorf("%s: got bytes %d to %d, want %d to %d", c.name, from, to, c.from, c.to)
		}
	}
	s := pipe.NewSendState(window)
	s.End = 5 * blockBytes
	f := s.AddSubflow(proto.ViaTCP, true)
	for range 2 {
		s.Claim(f)
		s.MarkWritten(f)
	}
	if from, to := s.Claim(f); to > 0 {
		t.Errorf("beyond the window: got bytes %d to %d, want none", from, to)
	}
	s.Acknowledge(100)
	if from, to := s.Claim(f); from != window || to != window+100 {
		t.Errorf("after 100 bytes were acknowledged: got bytes %d to %d, want %d to %d", from, to, window, window+100)
	}
}

// Bytes that the peer acknowledges beyond where the transfer resumed are not sent
// again: it had them behind a gap.
func TestAcknowledgedBehindGap(t *testing.T) {
	t.Parallel()
	s := pipe.NewSendState(8 * blockBytes)
	s.End = 4 * blockBytes
	first, other := s.AddSubflow(proto.ViaTCP, true), s.AddSubflow(proto.ViaTCP, false)
	for _, f := range []*pipe.Subflow{first, other, other} {
		s.Claim(f)
		s.MarkWritten(f)
	}
	s.RemoveSubflow(first) // its block has not arrived
	s.RemoveSubflow(other)
	s.AwaitResume()
	f := s.AddSubflow(proto.ViaTCP, true)
	if !s.ResumeAt(0) {
		t.Fatal("FILE_RESUME was not valid")
	}
	s.Claim(f)
	s.MarkWritten(f)
	s.Acknowledge(3 * blockBytes)
	if from, _ := s.Claim(f); from != 3*blockBytes {
		t.Errorf("got byte %d to send next, want %d", from, 3*blockBytes)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// Bulk is left to TCP where the primary subflow is over QUIC; what comes in pieces
// is not.
func TestPrimaryLeavesBulk(t *testing.T) {
	t.Parallel()
	const block = proto.MaxChunkBytes
	for _, c := range []struct {
		name           string
		primary, other string
		end            int64
		want           int64 // what the primary claims
	}{
		{"alone over QUIC", proto.ViaQUIC, "", 2 * block, block},
		{"two over QUIC", proto.ViaQUIC, proto.ViaQUIC, 2 * block, block},
		{"two over TCP", proto.ViaTCP, proto.ViaTCP, 2 * block, block},
		{"TCP beside QUIC", proto.ViaQUIC, proto.ViaTCP, 2 * block, 0},
		{"TCP beside QUIC, a piece", proto.ViaQUIC, proto.ViaTCP, block - 1, block - 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := pipe.NewSendState(proto.WindowBytes)
			s.End = c.end
			primary := s.AddSubflow(c.primary, true)
			var other *pipe.Subflow
			if c.other != "" {
				other = s.AddSubflow(c.other, false)
			}
			if from, to := s.Claim(primary); from != 0 || to != c.want {
				t.Errorf("the primary subflow claims %d to %d, want 0 to %d", from, to, c.want)
			}
			if other == nil || c.want != 0 {
				return
			}
			if from, to := s.Claim(other); from != 0 || to != block {
				t.Errorf("the other subflow claims %d to %d, want 0 to %d", from, to, block)
			}
			s.RemoveSubflow(other)
			if from, to := s.Claim(primary); from != 0 || to != block {
				t.Errorf("with TCP lost the primary subflow claims %d to %d, want 0 to %d", from, to, block)
			}
		})
	}
}

// The first chunks after a resume are small, and then twice as large each time, up to whole
// blocks again. Bytes that are sent again are cut in the same way.
func TestSmallFirstChunks(t *testing.T) {
	t.Parallel()
	const k = 1 << 10
	for name, resumeAt := range map[string]int64{"new bytes": 3 * blockBytes, "again": 0} {
		s := pipe.NewSendState(64 * blockBytes)
		s.End = 8 * blockBytes
		first := s.AddSubflow(proto.ViaTCP, true)
		for range 3 {
			s.Claim(first)
			s.MarkWritten(first)
		}
		s.RemoveSubflow(first)
		s.AwaitResume()
		f := s.AddSubflow(proto.ViaTCP, true)
		pipe.SmallFirst(f)
		if !s.ResumeAt(resumeAt) {
			t.Fatal("FILE_RESUME was not valid")
		}
		at := resumeAt
		for i, want := range []int64{16 * k, 32 * k, 64 * k, 128 * k, 16 * k, blockBytes, blockBytes} {
			from, to := s.Claim(f)
			if from != at || to != at+want {
				t.Errorf("%s, chunk %d: got bytes %d to %d, want %d to %d", name, i, from, to, at, at+want)
			}
			at = to
			s.MarkWritten(f)
			if err := s.Check(); err != nil {
				t.Error(err)
			}
		}
	}
}
