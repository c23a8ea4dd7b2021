package job_test

import (
	"os"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/job"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	at := time.Date(2026, 11, 28, 3, 0, 5, 0, time.UTC)
	day := at.Local().Format(time.DateOnly)
	for _, tt := range []struct {
		template, want string
		hasTime        bool
		code           proto.Code
	}{
		{"shop.dump", "shop.dump", false, proto.OK},
		{"shop-{date}.dump", "shop-" + day + ".dump", true, proto.OK},
		{"{time}{time}", "2026-11-28T03-00-05Z2026-11-28T03-00-05Z", true, proto.OK},
		{"{host}-{job}", host + "-{date}", false, proto.OK}, // what a word stands for is no template
		{"a{b", "a{b", false, proto.OK},
		{"{}", "{}", false, proto.Usage},
		{"{Date}", "{Date}", false, proto.Usage},
		{"{peer}", "{peer}", false, proto.Usage},
	} {
		template := job.Template(tt.template)
		xtest.WantCode(t, tt.template, template.Check("job"), tt.code)
		if got := template.Expand(at, map[string]string{"job": "{date}"}); got != tt.want || template.HasTime() != tt.hasTime {
			t.Errorf("%s: got %q, %v, want %q, %v", tt.template, got, template.HasTime(), tt.want, tt.hasTime)
		}
	}
}
