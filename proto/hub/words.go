package hub

import (
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/sethvargo/go-diceware/diceware"

	"mesh/proto/identity"
)

const (
	// NumWords is the length of the list of words. No two words begin with the same
	// three letters.
	NumWords = 1296
	// KeyWordCount is how many words name a key: 82 bits of it.
	KeyWordCount = 8
	// keyWordsLabel is what a key is hashed under for its words.
	keyWordsLabel = "mesh-hub/1 words"
)

// words returns the short list of the EFF in its order. Dashes are left out, since a code
// has them between its words.
var words = sync.OnceValue(func() []string {
	list := diceware.WordListEffSmall()
	all := make([]string, 0, NumWords)
	for i := range NumWords {
		roll := (i/216+1)*1000 + (i/36%6+1)*100 + (i/6%6+1)*10 + i%6 + 1
		all = append(all, strings.ReplaceAll(list.WordAt(roll), "-", ""))
	}
	return all
})

// IsWord reports whether s, in lower case, is in the list of words.
func IsWord(s string) bool { return slices.Contains(words(), s) }

// CompleteWord returns the words of the list that begin with prefix.
func CompleteWord(prefix string) []string {
	return slices.DeleteFunc(slices.Clone(words()), func(w string) bool { return !strings.HasPrefix(w, prefix) })
}

// KeyWords returns the words by which people compare the key of a node: SHA-256 of
// "mesh-hub/1 words" and the key, as a big-endian number, divided by the length of the
// list again and again; each remainder is the place of a word.
func KeyWords(node identity.ID) []string {
	sum := sha256.Sum256(append([]byte(keyWordsLabel), node[:]...))
	n, length, rest := new(big.Int).SetBytes(sum[:]), big.NewInt(NumWords), new(big.Int)
	out := make([]string, KeyWordCount)
	for i := range out {
		n.DivMod(n, length, rest)
		out[i] = words()[rest.Int64()]
	}
	return out
}

// randomWords returns n words, each chosen with the same probability.
func randomWords(n int) []string {
	out := make([]string, n)
	for i := range out {
		at, _ := rand.Int(rand.Reader, big.NewInt(NumWords)) // never fails (crypto/rand)
		out[i] = words()[at.Int64()]
	}
	return out
}
