package hub

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/nat"
	"mesh/proto/relay"
	"mesh/tools/cmdline"
)

func limitsCommand() *cli.Command {
	return &cli.Command{
		Name: "limits", Usage: "print the limits of a hub of this version",
		Action: func(c *cli.Context) error {
			if _, err := cmdline.Args(c, 0, 0); err != nil {
				return err
			}
			return printAll(cmdline.StreamsOf(c), limitsText())
		},
	}
}

// limits are what is bounded and the bound: a number, or a duration.
var limits = []struct {
	what  string
	bound any
}{
	{"connections of a hub, without --max", serve.DefaultMax},
	{"connections of a node", broker.MaxNodeConns},
	{"bytes of an event", hub.MaxEventBytes},
	{"bytes of an event before the login", hub.MaxHelloBytes},
	{"objects inside each other in an event", hub.MaxDepth},
	{"bytes of a sealed message", hub.MaxSealedBytes},
	{"bytes of a text in an event", hub.MaxTextBytes},
	{"bytes of the name of a program", hub.MaxAgentBytes},
	{"bytes of the id of an event", hub.MaxIDBytes},
	{"events that wait for a node that is away for a moment", broker.MaxHeld},
	{"refused events in a row", broker.MaxRefused},
	{"time between two pings", hub.PingEvery},
	{"silence after which a connection is lost", hub.LostAfter},
	{"time that a lost node stays online", hub.Grace},

	{"members", broker.MaxMembers},
	{"bytes of a stored fact", broker.MaxFactBytes},
	{"bytes of hub_access", broker.MaxAccessBytes},
	{"bans", broker.MaxBans},
	{"open invites", broker.MaxInvites},
	{"invites, with used ones that carried a voucher", broker.MaxKeptInvites},
	{"uses of an invite", broker.MaxInviteUses},
	{"life of an invite", broker.MaxInviteLife},
	{"vouchers that a node shows", hub.MaxVouchers},
	{"bytes of a voucher", hub.MaxVoucherBytes},
	{"time that dates hold beyond their end", hub.DateSlack},

	{"names", broker.MaxNames},
	{"bytes of a name", hub.MaxNameBytes},
	{"names of a node", hub.MaxNames},
	{"time that a lasting name is told after its node has left", broker.LastingFor},
	{"time that it is then kept for its owner", broker.KeptFor},
	{"time that a passing name is kept", broker.PassingFor},
	{"watches of a connection", broker.MaxWatches},

	{"rooms", broker.MaxRooms},
	{"rooms of a connection", hub.MaxRooms},
	{"nodes in a room", broker.MaxRoomMembers},
	{"watchers of a room", broker.MaxRoomWatchers},
	{"nodes in one answer about a room", hub.MaxRoomPage},
	{"changes that a watcher is told at a time", broker.MaxTold},
	{"time for which changes of rooms are gathered", broker.GatherFor},

	{"open sessions", broker.MaxSessions},
	{"open sessions of a dialer", broker.MaxDialing},
	{"open sessions of a listener", broker.MaxListening},
	{"requests that wait for a listener", broker.MaxWaiting},
	{"sessions that a node makes at a time", hub.MaxMaking},
	{"time for an answer", hub.AnswerTimeout},
	{"time for an answer, as a request may ask", hub.MaxAnswer},
	{"time for a person to answer, beyond that", hub.PendingTimeout},
	{"life of a session", hub.SessionLife},
	{"life of a session's token", hub.TokenLife},
	{"candidates of one end", hub.MaxCandidates},
	{"relays and STUN servers that a hub names", hub.MaxRelays},

	{"pairs of nodes at a relay, without --relay-sessions", relay.DefaultSessions},
	{"time for which bytes count that two nodes have used at the hub's relay", relay.UsedFor},
	{"bytes of a permit to join a relay", relay.MaxPermitBytes},
	{"life of a permit", relay.PermitLife},
	{"bytes of the name of a relay", relay.MaxNameBytes},
	{"time to show a permit at a relay", relay.DoorTimeout},
	{"bytes of a message to a relay", relay.MaxMessageBytes},
	{"time between two words of a relay to a node that waits there", relay.StatusEvery},
	{"time between two questions to a relay on another machine", serve.AskRelayEvery},

	{"answers of the STUN server in a second", nat.MaxAnswers},
	{"answers of the STUN server to one source in a second", nat.MaxAnswersOfSource},
	{"connections to the STUN server over TCP", nat.MaxTCP},
	{"connections to the STUN server of one source", nat.MaxTCPOfSource},
	{"life of a connection to the STUN server", nat.TCPLife},

	{"codes of a node", hub.MaxCodes},
	{"life of a code", hub.CodeLife},
	{"time to confirm a code", hub.ConfirmTimeout},
	{"new codes after wrong ones", hub.MaxNewCodes},

	{"life of an API token", hub.APITokenLife},
	{"life of a lasting API token", hub.MaxAPITokenLife},
	{"lasting API tokens", broker.MaxTokens},
	{"bytes of the body of a request to the API", serve.MaxBodyBytes},
	{"elements in one answer of the API", serve.MaxPage},

	{"time that a node waits when a hub ends", hub.MaxGoAwayAfter},
	{"time over which nodes come back then", hub.MaxGoAwaySpread},
	{"time that a node waits because the hub asks it to", hub.MaxRetryAfter},
	{"sources and nodes whose rates are counted", broker.MaxBuckets},
	{"time for which a source is refused", broker.BlockFor},
}

// limitsText returns a line for each limit and each rate, with a tab between columns.
func limitsText() string {
	var b strings.Builder
	for _, l := range limits {
		text := fmt.Sprint(l.bound)
		if d, ok := l.bound.(time.Duration); ok {
			text = durationText(d)
		}
		fmt.Fprintf(&b, "%s\t%s\n", l.what, text)
	}
	for _, r := range broker.Rates() {
		fmt.Fprintf(&b, "%s\t%s, at once %g\n", r.What, rateText(r.PerSecond), r.Burst)
	}
	return b.String()
}

// durationText returns whole days as days.
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// rateText returns a rate with the largest unit in which it is at least 1.
func rateText(perSecond float64) string {
	switch {
	case perSecond >= 1:
		return fmt.Sprintf("%.4g a second", perSecond)
	case perSecond*60 >= 1:
		return fmt.Sprintf("%.4g a minute", perSecond*60)
	}
	return fmt.Sprintf("%.4g an hour", perSecond*3600)
}
