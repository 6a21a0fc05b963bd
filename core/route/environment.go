package route

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/registry"
	"github.com/pushbridge/bridge/core/sockets"
	"github.com/pushbridge/bridge/core/state"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// Environment is what routes run in.
type Environment struct {
	Bus      *bus.Bus
	Registry *registry.Registry
	Sockets  *sockets.Sockets
	Peers    *peers.Registry
	State    *state.Store
	// ConfDir is the folder of the routes, and Variables what they may name.
	ConfDir   string
	Variables config.Environment
	// RuntimeDir is the folder (0700) for the processes' private folders.
	RuntimeDir string
	Log        *slog.Logger
	// DrainTime is how long what is replaced or removed may take to finish and
	// to send its listeners away.
	DrainTime   time.Duration
	Supervision Supervision
}

// Supervision says how processes that fail are started again.
type Supervision struct {
	// FirstDelay is the time before the first restart; it doubles with each up
	// to MaxDelay, with jitter, and is forgotten after Healthy without failure.
	FirstDelay, MaxDelay, Healthy time.Duration
	// GiveUp is the number of failures after which a process is not started any
	// more, until its file changes or somebody asks for it.
	GiveUp int
	// RefuseAfter is the delay from which on clients are not left waiting but
	// have their connections closed.
	RefuseAfter time.Duration
	// StartTimeout bounds the start of a process, and one instance's Open, Start
	// and Reconfigure.
	StartTimeout time.Duration
	// CheckEvery is the time between two checks of an instance, and what one may
	// take; two in a row without an answer end the process.
	CheckEvery time.Duration
}

// DefaultSupervision is what bridge.yaml starts from.
func DefaultSupervision() Supervision {
	return Supervision{
		FirstDelay: 250 * time.Millisecond, MaxDelay: 30 * time.Second, Healthy: time.Minute,
		GiveUp: 15, RefuseAfter: 5 * time.Second, StartTimeout: 15 * time.Second, CheckEvery: 5 * time.Second,
	}
}

// delay is the time before the start after so many failures: doubled each time,
// and spread by a quarter, so that what failed together does not return together.
func (s Supervision) delay(failures int) time.Duration {
	delay := s.FirstDelay
	for n := 1; n < failures && delay < s.MaxDelay; n++ {
		delay *= 2
	}
	delay = min(delay, s.MaxDelay)
	return delay - delay/8 + time.Duration(rand.Int64N(int64(delay/4)+1))
}

// Bounds on what a plugin may take, however it behaves.
const (
	stopTimeout = 10 * time.Second // one instance's Stop
	maxDrain    = 10 * time.Minute // one instance's Drain, if DrainTime is longer
	callGrace   = time.Second      // for a call to return once its time is over
)

// passedOn are the variables that a file asks for, and the log level.
func passedOn(log *slog.Logger, names []string) []string {
	level := slog.LevelInfo
	if log.Enabled(context.Background(), slog.LevelDebug) {
		level = slog.LevelDebug
	}
	env := []string{stream.EnvLogLevel + "=" + level.String()}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
