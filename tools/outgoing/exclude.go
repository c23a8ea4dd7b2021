package outgoing

import (
	"github.com/urfave/cli/v2"

	"mesh/pipe/files/exclude"
)

const (
	excludeName     = "exclude"
	excludeFromName = "exclude-from"
)

// given is the values of --exclude and --exclude-from, in the order of the command line:
// the last pattern that matches decides.
type given []struct {
	text string
	file bool
}

// patternValue is one of the two flags, as [cli.Generic].
type patternValue struct {
	all  *given
	file bool
}

// Set implements [cli.Generic]. It opens no file: settings are read again while a tool
// runs, and a pipe gives its patterns once.
func (v *patternValue) Set(text string) error {
	*v.all = append(*v.all, struct {
		text string
		file bool
	}{text, v.file})
	return nil
}

// String implements [cli.Generic].
func (v *patternValue) String() string { return "" }

// patternFlag is a flag that may be repeated. A slice of strings would be split at commas,
// and each flag would have its own order.
type patternFlag struct{ *cli.GenericFlag }

// IsSliceFlag implements [cli.DocGenerationSliceFlag].
func (patternFlag) IsSliceFlag() bool { return true }

func excludeFlags() []cli.Flag {
	all := new(given)
	return []cli.Flag{
		patternFlag{&cli.GenericFlag{Name: excludeName, Value: &patternValue{all: all}, Usage: "leave out what matches `PAT`, as .gitignore has it; may be repeated"}},
		patternFlag{&cli.GenericFlag{Name: excludeFromName, Value: &patternValue{all: all, file: true}, Usage: "leave out what a pattern in `FILE` matches; may be repeated"}},
	}
}

// readExcluded reads the patterns; nil without the flags.
func readExcluded(c *cli.Context) (*exclude.List, error) {
	v, ok := c.Generic(excludeName).(*patternValue)
	if !ok || len(*v.all) == 0 {
		return nil, nil
	}
	list := new(exclude.List)
	for _, g := range *v.all {
		var err error
		if g.file {
			err = list.AddFile(g.text)
		} else {
			err = list.Add(g.text, "--"+excludeName)
		}
		if err != nil {
			return list, err
		}
	}
	return list, nil
}
