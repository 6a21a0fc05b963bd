package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// controlPatience bounds what a command may wait for: a reload that opens many
// plugins.
const controlPatience = 2 * time.Minute

const (
	controlPrefix = "bridge-control-"
	socketName    = "control.sock"
	maxSocketPath = 107
)

// RuntimeDir is the folder for sockets: the one that the settings name, else
// RUNTIME_DIRECTORY, as systemd gives it, else the one for temporary files.
func RuntimeDir(configured string) string {
	if configured != "" {
		return configured
	}
	if list := filepath.SplitList(os.Getenv("RUNTIME_DIRECTORY")); len(list) > 0 && list[0] != "" {
		return list[0]
	}
	return os.TempDir()
}

// ControlPath is where the bridge that serves the routes in confDir has its
// control socket; base is the folder for sockets, see [RuntimeDir].
func ControlPath(base, confDir string) (string, error) {
	absolute, err := filepath.Abs(confDir)
	if err != nil {
		return "", fmt.Errorf("control socket: %w", err)
	}
	sum := sha256.Sum256([]byte(absolute))
	path := filepath.Join(base, controlPrefix+hex.EncodeToString(sum[:8]), socketName)
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("control socket: %s is too long a path for a socket; set runtime_dir in bridge.yaml to a shorter folder than %s", path, base)
	}
	return path, nil
}

// ErrServed says that another bridge serves a folder of routes.
var ErrServed = errors.New("another bridge serves it")

// ServeControl serves a bridge's control socket at path, which is
// [ControlPath]'s, with
//
//	GET  /status                        a [Report]
//	POST /reload                        a [Report], once what has changed runs
//	POST /plugins/restart?plugin=NAME   {"routes": […]}, the routes concerned
//
// and {"error": …} where that fails. What a bridge that was killed has left there
// is replaced; if one serves the folder, the error is [ErrServed].
func ServeControl(path string, bridge Bridge, model Model, log *slog.Logger) (*Server, error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	removeAbandoned(filepath.Dir(folder), folder)
	held, err := holdPatiently(folder)
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("folder %s: %w%s; stop that one, or give this one another folder with --conf-dir", bridge.ConfDir, ErrServed, held.owner())
	}
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		held.release()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		held.release()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		held.release()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return serve(listener, controlHandler(bridge, model), controlPatience, log, held.release), nil
}

type problem struct {
	Error string `json:"error"`
}

type restarted struct {
	Routes []string `json:"routes"`
}

func controlHandler(bridge Bridge, model Model) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, Report{bridge, model.Status()})
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), controlPatience)
		defer cancel()
		answer(w, http.StatusOK, Report{bridge, model.Reload(ctx)})
	})
	mux.HandleFunc("POST /plugins/restart", func(w http.ResponseWriter, r *http.Request) {
		plugin := r.URL.Query().Get("plugin")
		if plugin == "" {
			answer(w, http.StatusBadRequest, problem{"say which plugin: ?plugin=NAME"})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), controlPatience)
		defer cancel()
		routes, err := model.Restart(ctx, plugin)
		if err != nil {
			answer(w, http.StatusConflict, problem{err.Error()})
			return
		}
		answer(w, http.StatusOK, restarted{routes})
	})
	return mux
}
