package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"mesh/proto"
	"mesh/tools/command"
)

// runCommand runs the command of the channel. It gets the JSON of the message on its
// input, and the fields in its environment. No word of the message is ever a part of the
// command.
func (c Channel) runCommand(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	env, err := environ(body)
	if err != nil {
		return err
	}
	status, err := command.Run(ctx, []string{"/bin/sh", "-c", c.Command}, command.Options{
		Stdin: bytes.NewReader(append(body, '\n')), Stdout: io.Discard, Stderr: io.Discard, Env: env, Group: true,
	})
	switch {
	case ctx.Err() != nil:
		return proto.Errorf(proto.Timeout, "the command took too long, and was ended")
	case err != nil:
		return err
	case status != 0:
		return proto.Errorf(proto.Consumer, "the command ended with status %d", status)
	}
	return nil
}

// environ returns the fields of an object that are texts and numbers as variables: title
// is MESH_TITLE.
func environ(object []byte) (env []string, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return nil, err
	}
	for name, value := range fields {
		var text string
		switch {
		case value[0] == '{' || value[0] == '[':
			continue
		case json.Unmarshal(value, &text) != nil:
			text = string(value)
		}
		env = append(env, fmt.Sprintf("MESH_%s=%s", strings.ToUpper(name), strings.ReplaceAll(text, "\x00", "")))
	}
	return env, nil
}
