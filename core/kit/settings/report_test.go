package settings

import (
	"testing"

	"github.com/pushbridge/bridge/core"
)

func TestReport(t *testing.T) {
	var r Report
	if r.Failed() || r.Err() != nil {
		t.Error("an empty report fails")
	}
	r.Warning("/a", "is %s", "odd")
	if r.Failed() || r.Err() != nil {
		t.Error("a warning fails")
	}
	r.Error("/b/0", "is %d", 5)
	r.Error("", "the whole is wrong")
	if !r.Failed() {
		t.Error("an error does not fail")
	}
	if got := r.Err().Error(); got != "configuration: /b/0: is 5; the whole is wrong" {
		t.Error(got)
	}
	want := []core.Finding{
		{Path: "/a", Severity: core.SeverityWarning, Message: "is odd"}, {Path: "/b/0", Message: "is 5"}, {Message: "the whole is wrong"},
	}
	for i := range want {
		if r.Findings[i] != want[i] {
			t.Errorf("%+v, want %+v", r.Findings[i], want[i])
		}
	}
}

func TestPath(t *testing.T) {
	for want, parts := range map[string][]any{
		"": nil, "/realms/0/name": {"realms", 0, "name"}, "/a~1b/c~0d/~01": {"a/b", "c~d", "~1"}, "/": {""},
	} {
		if got := Path(parts...); got != want {
			t.Errorf("%v: %s, want %s", parts, got, want)
		}
	}
}
