package metrics

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Page joins the metrics of several places into one exposition: a family that
// several have appears once, with the samples of all.
type Page struct {
	families map[string]*dto.MetricFamily
	taken    map[string]bool // names of samples
}

// NewPage returns an empty page.
func NewPage() *Page {
	return &Page{families: make(map[string]*dto.MetricFamily), taken: make(map[string]bool)}
}

// Add adds what text, an exposition, holds. Each sample gets the label, in place
// of one of that name that it has; an empty label adds none. Families that cannot
// stand beside those of the page, being of another type, are left out and named in
// the error; of any other error nothing is added.
func (p *Page) Add(text []byte, label, value string) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	var clashes []string
	for _, name := range slices.Sorted(maps.Keys(families)) {
		family := families[name]
		if label != "" {
			for _, sample := range family.Metric {
				setLabel(sample, label, value)
			}
		}
		if !p.join(family) {
			clashes = append(clashes, name)
		}
	}
	if clashes != nil {
		return fmt.Errorf("metrics of a type that others of their name do not have are left out: %v", clashes)
	}
	return nil
}

// join adds a family, or reports that it cannot stand on this page.
func (p *Page) join(family *dto.MetricFamily) bool {
	name := family.GetName()
	if known := p.families[name]; known != nil {
		if known.GetType() != family.GetType() {
			return false
		}
		known.Metric = append(known.Metric, family.Metric...)
		return true
	}
	names := sampleNames(family)
	for _, sample := range names {
		if p.taken[sample] {
			return false
		}
	}
	for _, sample := range names {
		p.taken[sample] = true
	}
	p.families[name] = family
	return true
}

// sampleNames are the names under which a family's samples are written.
func sampleNames(family *dto.MetricFamily) []string {
	names := []string{family.GetName()}
	switch family.GetType() {
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		names = append(names, names[0]+"_bucket", names[0]+"_sum", names[0]+"_count")
	case dto.MetricType_SUMMARY:
		names = append(names, names[0]+"_sum", names[0]+"_count")
	}
	return names
}

func setLabel(sample *dto.Metric, name, value string) {
	sample.Label = slices.DeleteFunc(sample.Label, func(l *dto.LabelPair) bool { return l.GetName() == name })
	sample.Label = append(sample.Label, &dto.LabelPair{Name: &name, Value: &value})
}

// Text is the page as Prometheus' text exposition, families in order of name.
func (p *Page) Text() []byte {
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(p.families)) {
		// A family that was parsed can be written; the buffer takes everything.
		_, _ = expfmt.MetricFamilyToText(&text, p.families[name])
	}
	return text.Bytes()
}
