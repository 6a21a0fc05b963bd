package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/pushbridge/bridge/core/wire/stream"
)

// runner starts and ends one plugin process. It is go-plugin's runner.Runner,
// written anew because the stock one lets a plugin crash the host with one
// stderr line, stalls on a long stdout line, leaves processes behind a killed
// host, and hands down the host's stdin.
//
// go-plugin sees of the plugin's output exactly one line: the handshake.
// Everything else that the plugin prints goes to the process's log.
type runner struct {
	path    string
	sha256  string // of the only file that may be executed; "" for any
	command *exec.Cmd
	output  *output

	// handshake carries stdout's handshake line to go-plugin.
	handshake       *io.PipeReader
	handshakeWriter *io.PipeWriter

	mu     sync.Mutex
	pid    int  // 0 until it is started
	killed bool // it must not be started any more

	ended chan struct{} // closed when the process is reaped
	exit  error         // valid once ended is closed
}

// newRunner prepares the command. go-plugin adds to its environment.
func newRunner(path string, args, env []string, out *output) *runner {
	command := exec.Command(path, args...)
	command.Env = env
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r := &runner{path: path, command: command, output: out, ended: make(chan struct{})}
	r.handshake, r.handshakeWriter = io.Pipe()
	return r
}

// Start implements runner.Runner.
func (r *runner) Start(context.Context) error {
	var pipes pipes
	defer pipes.closeChildEnds()
	// Nobody writes to the watch pipe. Its write end closes when this process
	// ends, however it ends, and the plugin takes the end of file as its own end.
	watchRead, watchWrite := pipes.make()
	stdout, childStdout := pipes.make()
	stderr, childStderr := pipes.make()
	if pipes.err != nil {
		return fmt.Errorf("pipes for %s: %w", r.path, pipes.err)
	}
	pipes.child = []*os.File{watchRead, childStdout, childStderr}
	r.command.Stdout, r.command.Stderr = childStdout, childStderr
	r.command.ExtraFiles = []*os.File{watchRead} // descriptor 3 in the child
	r.command.Env = append(r.command.Env, stream.EnvWatchFD+"=3")
	if err := r.startCommand(); err != nil {
		pipes.closeAll()
		return err
	}
	var readers sync.WaitGroup
	readers.Go(func() { r.readStdout(stdout) })
	readers.Go(func() { r.output.readLines("stderr", bufio.NewReaderSize(stderr, maxLine)) })
	go r.reap(&readers, watchWrite, stdout, stderr)
	return nil
}

// errGivenUp is the answer of a runner that was killed before it started.
var errGivenUp = errors.New("the start was given up")

func (r *runner) startCommand() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killed {
		return errGivenUp
	}
	if r.sha256 != "" {
		file, err := openChecked(r.path, r.sha256)
		if err != nil {
			return err
		}
		defer file.Close()
		r.execute(file)
	}
	if err := r.command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", r.path, err)
	}
	r.pid = r.command.Process.Pid
	return nil
}

// reap waits for the process, ends what is left of its group (which could hold
// the output pipes open for ever), and sets ended.
func (r *runner) reap(readers *sync.WaitGroup, files ...*os.File) {
	r.exit = r.command.Wait()
	_ = syscall.Kill(-r.pid, syscall.SIGKILL)
	readers.Wait()
	for _, f := range files {
		f.Close()
	}
	close(r.ended)
}

// pipes makes several pipes and remembers the first error.
type pipes struct {
	all, child []*os.File
	err        error
}

func (p *pipes) make() (read, write *os.File) {
	if p.err != nil {
		return nil, nil
	}
	read, write, p.err = os.Pipe()
	if p.err == nil {
		p.all = append(p.all, read, write)
	}
	return read, write
}

func (p *pipes) closeChildEnds() {
	if p.err != nil {
		p.closeAll()
		return
	}
	for _, f := range p.child {
		f.Close()
	}
}

func (p *pipes) closeAll() {
	for _, f := range p.all {
		f.Close()
	}
}

// readStdout passes the first line that looks like a handshake to go-plugin and
// logs what stands before and after it.
func (r *runner) readStdout(stdout io.Reader) {
	reader := bufio.NewReaderSize(stdout, maxLine)
	for {
		line, err := readLine(reader)
		if err != nil {
			r.handshakeWriter.CloseWithError(io.EOF)
			return
		}
		if looksLikeHandshake(line) {
			// go-plugin reads it before anything else happens, or has closed
			// the pipe; neither blocks this goroutine for long.
			_, _ = io.WriteString(r.handshakeWriter, line+"\n")
			break
		}
		r.output.line("stdout", line)
	}
	r.handshakeWriter.Close()
	r.output.readLines("stdout", reader)
}

// looksLikeHandshake tells go-plugin's line, CORE|PROTOCOL|NETWORK|ADDRESS|…,
// from whatever a plugin prints before it.
func looksLikeHandshake(line string) bool {
	parts := strings.Split(line, "|")
	if len(parts) < 4 {
		return false
	}
	_, core := strconv.Atoi(parts[0])
	_, protocol := strconv.Atoi(parts[1])
	return core == nil && protocol == nil
}

// Stdout implements runner.Runner.
func (r *runner) Stdout() io.ReadCloser { return r.handshake }

// Stderr implements runner.Runner: empty, because go-plugin must not parse it.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Diagnose implements runner.Runner.
func (r *runner) Diagnose(context.Context) string { return "" }

// Name implements runner.Runner.
func (r *runner) Name() string { return r.path }

// ID implements runner.Runner.
func (r *runner) ID() string {
	if pid := r.processID(); pid > 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

// processID is the process's id, 0 if it was not started.
func (r *runner) processID() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pid
}

// Wait implements runner.Runner.
func (r *runner) Wait(ctx context.Context) error {
	select {
	case <-r.ended:
		return r.exit
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill implements runner.Runner: it ends the whole process group, so nothing
// that the plugin started holds its pipes open. A runner that was not started
// never will be.
func (r *runner) Kill(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = true
	if r.pid == 0 || r.hasEnded() {
		return nil
	}
	err := syscall.Kill(-r.pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

func (r *runner) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// PluginToHost implements runner.Runner: both sides see the same addresses.
func (r *runner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin implements runner.Runner.
func (r *runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
