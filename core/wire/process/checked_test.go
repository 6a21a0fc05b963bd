package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// executables writes two files that print who they are, one beside the other.
func executables(t *testing.T) (good, evil string) {
	t.Helper()
	dir := t.TempDir()
	good, evil = filepath.Join(dir, "good"), filepath.Join(dir, "evil")
	for path, script := range map[string]string{good: "#!/bin/sh\necho \"good, $1\"\n", evil: "#!/bin/sh\necho evil\n"} {
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return good, evil
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// A file that is exchanged between the check and the start does not run: what was
// checked does.
func TestExchangedFileDoesNotRun(t *testing.T) {
	good, evil := executables(t)
	file, err := openChecked(good, sumOf(t, good))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := os.Rename(evil, good); err != nil {
		t.Fatal(err)
	}
	r := newRunner(good, []string{"argument"}, nil, newOutput(slog.New(slog.DiscardHandler)))
	r.execute(file)
	out, err := r.command.Output()
	if err != nil || string(out) != "good, argument\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// With all that a plugin's start brings along: pipes, a watch descriptor, and the
// checked file beside them.
func TestCheckedFileRuns(t *testing.T) {
	good, _ := executables(t)
	if err := os.WriteFile(good, []byte("#!/bin/sh\necho '1|1|unix|/nowhere|grpc|'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := newRunner(good, nil, nil, newOutput(slog.New(slog.DiscardHandler)))
	r.sha256 = sumOf(t, good)
	if err := r.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	handshake, err := io.ReadAll(r.Stdout())
	if err != nil || !strings.HasPrefix(string(handshake), "1|1|") {
		t.Errorf("handshake %q, %v", handshake, err)
	}
	<-r.ended
	if r.exit != nil {
		t.Error(r.exit)
	}
}
