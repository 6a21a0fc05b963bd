package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNoBridge says that no bridge serves a folder of routes.
var ErrNoBridge = errors.New("no bridge serves")

// maxAnswerBytes bounds what a client reads.
const maxAnswerBytes = 64 << 20

// Client talks to a running bridge through its control socket. Its errors say
// what to do.
type Client struct {
	path    string
	confDir string
	http    *http.Client
}

// NewClient returns a client of the bridge that serves confDir and has its
// control socket at path, which is [ControlPath]'s. It connects to nothing yet.
func NewClient(path, confDir string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, confDir: confDir, http: &http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		Timeout:   controlPatience + 2*readTimeout,
	}}
}

// Status asks for the state of every route.
func (c *Client) Status(ctx context.Context) (Report, error) {
	var report Report
	return report, c.ask(ctx, http.MethodGet, "/status", &report)
}

// Reload makes the bridge look at its folder of routes, and returns once what has
// changed has taken effect.
func (c *Client) Reload(ctx context.Context) (Report, error) {
	var report Report
	return report, c.ask(ctx, http.MethodPost, "/reload", &report)
}

// Restart replaces the processes of a plugin and names the routes concerned.
func (c *Client) Restart(ctx context.Context, plugin string) ([]string, error) {
	var done restarted
	err := c.ask(ctx, http.MethodPost, "/plugins/restart?plugin="+url.QueryEscape(plugin), &done)
	return done.Routes, err
}

func (c *Client) ask(ctx context.Context, method, target string, into any) error {
	if err := c.checkFolder(); err != nil {
		return c.explain(err)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://bridge"+target, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.explain(err)
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(io.LimitReader(response.Body, maxAnswerBytes))
	if response.StatusCode != http.StatusOK {
		var p problem
		if decoder.Decode(&p) == nil && p.Error != "" {
			return errors.New(p.Error)
		}
		return fmt.Errorf("the bridge that serves %s answers %s; is it of another version than this command?", c.confDir, response.Status)
	}
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("answer of the bridge that serves %s: %w", c.confDir, err)
	}
	return nil
}

// checkFolder makes sure that nobody else answers in the bridge's place: in a
// folder for everybody's temporary files another user could have made the
// control folder.
func (c *Client) checkFolder() error {
	info, err := os.Lstat(filepath.Dir(c.path))
	if err != nil {
		return err
	}
	if owner, known := ownerOf(info); !known || owner != os.Geteuid() && os.Geteuid() != 0 {
		return fs.ErrPermission
	}
	return nil
}

// explain says what to do about a bridge that cannot be reached.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w %s: start one with `bridge serve --conf-dir %s`, or name the folder of the one that runs with --conf-dir "+
			"(looked for %s; if runtime_dir or RUNTIME_DIRECTORY is set for the bridge, it must be for this command too)",
			ErrNoBridge, c.confDir, c.confDir, c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the bridge that serves %s belongs to another user: run this command as that user (%s)", c.confDir, filepath.Dir(c.path))
	case os.IsTimeout(err):
		return fmt.Errorf("the bridge that serves %s does not answer: look at its log (%w)", c.confDir, err)
	}
	return fmt.Errorf("the bridge that serves %s: %w", c.confDir, err)
}
