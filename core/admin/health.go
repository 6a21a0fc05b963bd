package admin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/metrics"
	"github.com/pushbridge/bridge/core/route"
)

// scrapePatience bounds how long plugins are waited for.
const scrapePatience = 8 * time.Second

// ServeAdmin serves the admin address, "host:port" or "unix:/path", with
//
//	/healthz   200 as long as the bridge is there
//	/readyz    200 if every route does its work, else 503 and a line for each that does not
//	/metrics   the bridge's metrics and its plugins'
//
// Whoever reaches it can read them; nothing can be changed.
func ServeAdmin(ctx context.Context, address string, bridge Bridge, model Model, log *slog.Logger) (*Server, error) {
	listener, err := core.ListenLocal(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("admin address: %w; give admin another address in bridge.yaml, or leave it out", err)
	}
	return serve(listener, adminHandler(bridge, model), scrapePatience, log, func() {}), nil
}

func adminHandler(bridge Bridge, model Model) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, fmt.Sprintf("bridge %s\n/healthz\n/readyz\n/metrics\n", bridge.Version))
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if notReady := notReady(model.Status()); notReady != "" {
			say(w, http.StatusServiceUnavailable, notReady)
			return
		}
		say(w, http.StatusOK, "ready\n")
	})
	gatherer := newGatherer(bridge, model)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapePatience)
		defer cancel()
		text, err := metricsPage(ctx, gatherer, model)
		if err != nil {
			say(w, http.StatusInternalServerError, err.Error()+"\n")
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(text) // a caller that has gone needs no answer
	})
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a caller that has gone needs no answer
}

// notReady has a line for each route that does not do its work, with the reason.
func notReady(all []route.Status) string {
	var text strings.Builder
	for _, s := range all {
		if serves(s.State) {
			continue
		}
		fmt.Fprintf(&text, "%s: %s", s.Route, s.State)
		if why := reason(s); why != "" {
			fmt.Fprintf(&text, ": %s", why)
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// reason is, in one line, why a route does not do its work.
func reason(s route.Status) string {
	why := s.Problem
	for _, i := range s.Instances {
		if why == "" && i.Problem != "" {
			why = i.Name + ": " + i.Problem
		}
	}
	if why == "" && len(s.Findings) > 0 {
		why = s.Findings[0].String()
	}
	line, _, _ := strings.Cut(why, "\n")
	return line
}

// metricsPage joins the bridge's metrics and the plugins'. Plugins' metrics that
// cannot be joined are named in a comment.
func metricsPage(ctx context.Context, gatherer prometheus.Gatherer, model Model) ([]byte, error) {
	own, err := metrics.Text(gatherer)
	if err != nil {
		return nil, err
	}
	page := metrics.NewPage()
	if err := page.Add(own, "", ""); err != nil {
		return nil, err
	}
	var remark []byte
	if err := page.Add(model.Metrics(ctx), "", ""); err != nil {
		remark = fmt.Appendf(nil, "# plugins: %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return append(page.Text(), remark...), nil
}
