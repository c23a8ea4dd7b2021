package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// abuses is the index of the abuse suite: what a hostile or broken world does to the
// tools, what holds nevertheless, and the tests that hold it. A test of another package
// has its folder in front; a name with .txtar is a script. Most tests are black boxes:
// package attacker is a peer that is written from mesh-protocol(7) alone. The counts of
// scripts/torture are larger than those of an ordinary run.
var abuses = []struct {
	attack, holds string
	tests         []string
}{
	1: {
		"the disk behind standard output fills up or fails at the last moment",
		"both ends fail (40, 41): the file is on the disk before the sender hears of the end",
		[]string{"TestStdoutSync", "TestStdoutPipe", "TestFullBehindFile"},
	},
	2: {
		"power is lost after a token was revoked, a right changed or a use claimed",
		"the change is on the disk before success is reported",
		[]string{"TestStateDurable", "TestStateOnFailingDisk", "TestClaimDurable"},
	},
	3: {
		"a receiver says that it stored less than was sent, or skips a file whose data it has not received; a sender lies about its data",
		"the sender ends with 31; the receiver ends with 30 and has no file",
		[]string{"TestReceiverMiscounts", "TestSenderLies", "TestSenderLiesAboutFile", "pipe/files TestReceiverCounts"},
	},
	4: {
		"a sender breaks off many deliveries",
		"its unfinished files take no more room than one delivery may; old ones are removed",
		[]string{"TestBrokenDeliveries", "pipe/files TestPartsOfOwner"},
	},
	5: {
		"a sender goes on behind FILE_DONE, or sends times of another age",
		"an error and no file, or a file and no error; such times are not taken",
		[]string{"TestBehindDone", "TestSentTimes", "pipe/files TestImplausibleTime", "pipe/files TestExistingFolder"},
	},
	6: {
		"a sender guesses the content of a file that another one stored",
		"no answer depends on it: the data is asked for",
		[]string{"TestGuessedContent", "recv_others.txtar", "pipe/files TestLedgersAreBounded"},
	},
	7: {
		"thousands of strangers connect and say nothing",
		"callers get in within two seconds; strangers are closed after five",
		[]string{"TestCallersBesideStrangers", "TestSlowStrangers", "proto/link TestTooManyHalfOpen", "proto/link TestTCPTooManyHalfOpen", "proto/link TestForgedAddresses"},
	},
	8: {
		"a stranger answers at the address of a peer whose link is broken",
		"the transfer goes on when the peer is back",
		[]string{"TestTransferOutlastsStrangers", "TestAnotherKeyAnswers", "proto/link TestResumeDespiteStrangers", "proto/link TestNotResumedBecauseOfStrangers"},
	},
	9: {
		"a stranger forges answers before a QUIC handshake is complete, or ends connections before the peer has answered",
		"--wait goes on, and nothing that the stranger wrote is printed",
		[]string{"TestForgedAnswers", "TestEndBeforeAnswer", "proto/link TestDialStrangers"},
	},
	10: {
		"a proven peer says nothing, or stalls a delivery, to hold its place",
		"the place goes to the next peer",
		[]string{"TestSilentDialerGivesItsPlace", "pipe TestStalledTransferGivesItsPlace"},
	},
	11: {
		"one bearer of a token makes the listener hold data on many links",
		"all links share one budget of memory",
		[]string{"TestBearersTakeLittleMemory", "TestGapsFillMemory", "TestUnacknowledgedFillsMemory", "proto/link TestWindowBudget", "TestUnits"},
	},
	12: {
		"strangers fill the log",
		"one line a minute counts them",
		[]string{"TestCallersBesideStrangers"},
	},
	13: {
		"a stranger shows another key, a copied certificate without its key, a token without its secret, or one with many addresses",
		"the dialer ends with 21, and dials at most 16 addresses; the listener lets nobody in",
		[]string{"TestCopiedCertificate", "TestWrongSecret", "TestAnotherKeyAnswers", "TestTooManyAddresses", "proto/link TestCopiedCertificate"},
	},
	14: {
		"other users read the arguments, messages, logs and files of a tool",
		"no token is in any of them",
		[]string{"TestSecretsNotPrinted", "TestSecretsNotPrintedFromSettings", "TestArgumentsHidden", "TestTokenFileOfOthers", "TestEventsOfOthers"},
	},
	15: {
		"other users write the lists and keys of a node",
		"the tools refuse them (43)",
		[]string{"TestStateOfOthers"},
	},
	16: {
		"a peer sends control sequences to a terminal",
		"they arrive without effect",
		[]string{"TestTerminalFromPeer", "TestTTYHostile"},
	},
	17: {
		"a viewer that was disconnected, or lost its right to type, comes back as another node",
		"its token lets no new node in",
		[]string{"TestKickedViewerComesBack", "TestKickFromAnotherShell", "pipe/term/share TestTokenIsClosed"},
	},
	18: {
		"a sharer sends what a viewer has to remember; a program prints the same",
		"the memory of viewer and sharer has a bound",
		[]string{"TestSharerFillsMemory", "TestTTYHostile", "pipe/term/vt TestMemoryIsBounded", "pipe/term/vt TestLinksAreBounded", "pipe/term/host TestFlood"},
	},
	19: {
		"names and links that mean another file there; keys in core dumps; nodes without a token",
		"the name is refused (42); there is no dump; --token-only lets nobody in without one",
		[]string{"TestHostileNames", "TestHostileLinks", "TestNoCoreDump", "listen_token_only.txtar", "cat_names.txtar", "pipe/files TestHostilePaths", "pipe/files TestPortablePaths"},
	},
	20: {
		"a peer names addresses of others, of this machine or of no host, ports of other services, or thousands of them",
		"sixteen are looked at, nothing leaves for those that are refused, and little for the others",
		[]string{"TestHostileCandidates", "proto/candidate TestDialable", "proto/nat TestRemoteIsBounded", "proto/nat TestManySessions", "proto/nat TestChecksSendLittle", "proto/nat TestHoleTargetsAreFew", "proto/nat TestHoleSendsLittle"},
	},
	21: {
		"a peer sends list after list of addresses",
		"one a second is taken, and the session goes on",
		[]string{"proto/nat TestManyLists"},
	},
	22: {
		"checks are forged, replayed, or sent back to the node that made them; answers come from elsewhere",
		"they prove no path",
		[]string{"proto/nat TestAskedAltered", "proto/nat TestAskedBack", "proto/nat TestReflected", "proto/nat TestMapForged", "proto/nat TestForwarded", "proto/nat TestManySources"},
	},
	23: {
		"strangers at the door of a relay are slow, many, or show a permit of another node, relay or time",
		"they are refused or cut off, and others move on",
		[]string{"TestHubRelay", "proto/relay TestStrangers", "proto/relay TestRefusals", "proto/relay TestReplayedSignature", "proto/relay TestMeetings", "proto/relay TestCountLimits", "proto/nat TestServeTCP"},
	},
	24: {
		"another node answers where a peer was, or where it may be",
		"that path has failed: the transfer goes on",
		[]string{"proto/path TestStrangerAtARoute", "proto/path TestStrangerBehindAPunchedRoute", "tools/node TestNearbyStranger"},
	},
	25: {
		"a router answers with RST, or a relay is killed, or says that the peer has left",
		"the link is broken, and resumed",
		[]string{"TestRouterResets", "TestRouterResetsTerminal", "relay.txtar", "proto/link TestRelayResetIsNobodysWord", "proto/link TestRelaySaysLeft", "proto/link TestRelaySaysLeftOfALivingPeer"},
	},
	26: {
		"two nodes use a relay for too much",
		"its rates hold, their bytes are counted, and the hub gives them no more permits",
		[]string{"relay_bytes.txtar", "proto/relay TestRate", "proto/relay TestTotal", "proto/relay TestBytes", "proto/relay TestSpent", "proto/relay TestCouplesAreFew"},
	},
	27: {
		"a machine of the local network answers, floods or asks",
		"few answers are looked at, few are given, and the peer's key is wanted",
		[]string{"proto/nat TestLANAskers", "proto/nat TestLANAnswersAreBounded", "proto/nat TestLANAnswersLookedAt"},
	},
	28: {
		"a router answers the request for a port with hostile XML, or with the address of somebody else",
		"64 KiB of the gateway are read, and the address is not told",
		[]string{"proto/nat TestUPnPHostile", "proto/nat TestPortMapExternal"},
	},
}

// Each kind of abuse has a test, and each test of the index exists.
func TestAbuses(t *testing.T) {
	t.Parallel()
	known := map[string]map[string]bool{}
	script, err := os.ReadFile(filepath.Join("..", "..", "scripts", "torture"))
	if err != nil {
		t.Fatal(err)
	}
	for kind, a := range abuses[1:] {
		if a.attack == "" || a.holds == "" || len(a.tests) == 0 {
			t.Errorf("kind %d has no attack, promise or test: %+v", kind+1, a)
		}
		for _, name := range a.tests {
			if strings.HasSuffix(name, ".txtar") {
				if _, err := os.Stat(filepath.Join("testdata", "script", name)); err != nil {
					t.Errorf("kind %d: %v", kind+1, err)
				}
				continue
			}
			folder, test, other := strings.Cut(name, " ")
			if !other {
				folder, test = "cmd/mesh", name
				if !bytes.Contains(script, []byte(strings.TrimPrefix(name, "Test"))) {
					t.Errorf("kind %d: scripts/torture does not run %s", kind+1, name)
				}
			}
			if known[folder] == nil {
				known[folder] = testsIn(t, filepath.Join("..", "..", filepath.FromSlash(folder)))
			}
			if !known[folder][test] {
				t.Errorf("kind %d: there is no %s in %s", kind+1, test, folder)
			}
		}
	}
}

// testsIn returns the names of the tests of a folder, for all systems.
func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = true
			}
		}
	}
	return tests
}
