package router

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/peer"
)

// coreLog takes the core's log lines: it reports every disconnect and every
// denial, so they are for debugging. One of them says that a message was lost.
type coreLog struct {
	log     *slog.Logger
	dropped func(args []any)
}

// Print implements stdlog.StdLog.
func (l *coreLog) Print(args ...any) { l.debug(fmt.Sprint, args) }

// Println implements stdlog.StdLog.
func (l *coreLog) Println(args ...any) { l.debug(fmt.Sprintln, args) }

// Printf implements stdlog.StdLog.
func (l *coreLog) Printf(format string, args ...any) {
	if strings.HasPrefix(format, "!!! Dropped") {
		l.dropped(args)
	}
	l.debug(func(args ...any) string { return fmt.Sprintf(format, args...) }, args)
}

func (l *coreLog) debug(text func(...any) string, args []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("wamp router", "message", strings.TrimSpace(text(args...)))
	}
}

// dropped is told the arguments of the line that says that the core lost a
// message for a session. A session that lost one cannot be trusted to be in
// order, so it ends; unless it was an event and may be lost.
func (r *Router) dropped(args []any) {
	for _, arg := range args {
		if lost, ok := arg.(*wamp.Session); ok {
			if client, ok := lost.Peer.(attached); ok {
				client.connection.coreDropped(args[0])
			}
		}
	}
}

func (c *connection) coreDropped(kind any) {
	c.Dropped()
	if kind == wamp.EVENT && c.router.limits.Load().Peer.DropEvents {
		return
	}
	c.peer.Load().End(peer.End{Code: peer.ClosePolicyViolation, Reason: "slow consumer", Slow: true})
}
