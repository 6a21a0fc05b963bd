package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"250ms": 250 * time.Millisecond, "10s": 10 * time.Second, "1m30s": 90 * time.Second, "24h": 24 * time.Hour, "0": 0, "0s": 0, "1.5s": 1500 * time.Millisecond,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(`"`+text+`"`), &d); err != nil || d.Std() != want {
			t.Errorf("%s: %v, %v", text, d.Std(), err)
		}
		again, err := json.Marshal(d)
		var back Duration
		if err != nil || json.Unmarshal(again, &back) != nil || back != d {
			t.Errorf("%s is written as %s, %v", text, again, err)
		}
	}
	for _, text := range []string{`""`, `"10"`, `"ten"`, `"10 s"`, `10`, `true`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s: %v", text, d.Std())
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		`0`: 0, `65536`: 65536, `"65536"`: 65536, `"64KiB"`: 64 << 10, `"64 KiB"`: 64 << 10, `"1MiB"`: 1 << 20, `"2GiB"`: 2 << 30, `"7B"`: 7, `"0"`: 0,
		`"4294967296GiB"`: 1 << 62, `4611686018427387904`: 1 << 62,
	} {
		var s Size
		if err := json.Unmarshal([]byte(text), &s); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, text := range []string{
		`""`, `"x"`, `-1`, `"-1KiB"`, `1.5`, `"1.5MiB"`, `1e3`, `"1KB"`, `"1kib"`, `"KiB"`, `true`, `null`, `[]`, `"4294967297GiB"`, `9223372036854775808`,
	} {
		var s Size
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s: %d", text, s)
		}
	}
}

func TestSecret(t *testing.T) {
	const hidden = Secret("hush")
	holder := struct {
		Secret Secret `json:"secret"`
		List   []Secret
	}{hidden, []Secret{hidden}}
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("m", "secret", hidden, "holder", holder)
	}
	for _, text := range []string{
		fmt.Sprint(hidden), fmt.Sprintf("%s %v %+v %#v %q", hidden, hidden, hidden, hidden, hidden),
		fmt.Sprintf("%v %+v %#v", holder, holder, holder), fmt.Sprintf("%v", &holder), string(encoded), log.String(), fmt.Errorf("x: %v", hidden).Error(),
	} {
		if strings.Contains(text, "hush") || !strings.Contains(text, "[redacted]") {
			t.Error(text)
		}
	}
	var back Secret
	if err := json.Unmarshal([]byte(`"hush"`), &back); err != nil || string(back) != "hush" {
		t.Errorf("%q, %v", string(back), err)
	}
}
