package measure_test

import (
	"strings"
	"testing"

	"mesh/scripts/internal/measure"
)

func TestWriteTable(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	measure.WriteTable(&got, [][]string{{"", "MiB/s", "×"}, {"mesh", "1", "–"}, {"über", "22", "1.05"}})
	const want = `
|      | MiB/s |    × |
| ---- | ----: | ---: |
| mesh |     1 |    – |
| über |    22 | 1.05 |
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}
