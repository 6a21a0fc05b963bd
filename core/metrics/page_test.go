package metrics_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/core/metrics"
)

func exposition(t *testing.T, name string, value float64) []byte {
	t.Helper()
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "How many."})
	gauge.Set(value)
	registry.MustRegister(gauge)
	text, err := metrics.Text(registry)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Two instances have a family in common: it is on the page once, with the
// samples of both.
func TestPageJoins(t *testing.T) {
	page := metrics.NewPage()
	for n, instance := range []string{"chat.a", "chat.b"} {
		if err := page.Add(exposition(t, "listeners", float64(n+1)), "instance", instance); err != nil {
			t.Fatal(err)
		}
	}
	if err := page.Add([]byte("alone{instance=\"liar\"} 3\n"), "instance", "chat.c"); err != nil {
		t.Fatal(err)
	}
	if err := page.Add([]byte("bare 4\n"), "", ""); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(string(page.Text()), "\n")
	want := []string{
		"# TYPE alone untyped", `alone{instance="chat.c"} 3`,
		"# TYPE bare untyped", "bare 4",
		"# HELP listeners How many.", "# TYPE listeners gauge", `listeners{instance="chat.a"} 1`, `listeners{instance="chat.b"} 2`, "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPageRefuses(t *testing.T) {
	page := metrics.NewPage()
	if err := page.Add([]byte("<html>"), "instance", "a"); err == nil {
		t.Error("what is no exposition is taken")
	}
	if err := page.Add(exposition(t, "listeners", 1), "instance", "a"); err != nil {
		t.Fatal(err)
	}
	err := page.Add([]byte("# TYPE listeners counter\nlisteners 5\nother 6\n"), "instance", "b")
	if err == nil || !strings.Contains(err.Error(), "[listeners]") {
		t.Errorf("error %v", err)
	}
	if text := string(page.Text()); strings.Contains(text, "5") || !strings.Contains(text, `other{instance="b"} 6`) {
		t.Errorf("page %s", text)
	}
}

// What a plugin says cannot break the page, and what is on the page can be read.
func FuzzPage(f *testing.F) {
	f.Add([]byte("# HELP a b\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 2\na_count 3\n"))
	f.Add([]byte("# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum NaN\n{\"with space\",x=\"\\n\"} -Inf 17\n"))
	f.Add([]byte("a_count 0\n")) // which the histogram a has too
	f.Add([]byte("# TYPE a counter\na 1\n# TYPE a gauge\na 2"))
	f.Fuzz(func(t *testing.T, text []byte) {
		page := metrics.NewPage()
		_ = page.Add([]byte("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\n"), "instance", "first")
		if err := page.Add(text, "instance", "fuzzed"); err != nil {
			return
		}
		if err := metrics.NewPage().Add(page.Text(), "", ""); err != nil {
			t.Errorf("%v in\n%s", err, page.Text())
		}
	})
}
