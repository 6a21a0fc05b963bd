package app

import (
	"path"
	"strings"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// Check reports what a schema cannot say about a list of apps that stands under
// the given path ("/apps"), and once more what would be dangerous to miss.
func Check(apps []Config, at string, report *settings.Report) {
	if len(apps) == 0 {
		report.Error(at, "there is no app: give at least one with id, key and secret")
	}
	ids := make(map[ID]bool)
	keys := make(map[string]ID)
	for i := range apps {
		c := checker{Config: &apps[i], at: at + settings.Path(i), report: report}
		c.checkID(ids)
		c.checkPairs(keys)
		c.checkSockets()
		c.checkTimes()
		c.checkLimits()
	}
}

// checker looks at one app.
type checker struct {
	*Config
	at     string
	report *settings.Report
}

func (c checker) error(path, format string, args ...any) {
	c.report.Error(c.at+path, format, args...)
}

func (c checker) checkID(seen map[ID]bool) {
	switch {
	case c.ID == "":
		c.error("/id", "the id is empty")
	case len(c.ID) > core.MaxSpaceBytes:
		c.error("/id", "the id has %d bytes: at most %d are allowed", len(c.ID), core.MaxSpaceBytes)
	case seen[c.ID]:
		c.error("/id", "app %q is there twice", c.ID)
	}
	seen[c.ID] = true
}

// checkPairs makes sure that a key leads to one app and one secret.
func (c checker) checkPairs(seen map[string]ID) {
	switch {
	case c.Keys != nil && (c.Key != nil || c.Secret != nil):
		c.error("/keys", "write either key and secret, or keys")
		return
	case c.Key != nil && c.Secret == nil:
		c.error("/key", "key without secret: give the secret too")
		return
	case c.Key == nil && c.Secret != nil:
		c.error("/secret", "secret without key: give the key too")
		return
	case len(c.pairs()) == 0:
		c.error("", "app %q has no key: give key and secret, or keys", c.ID)
		return
	}
	enabled := false
	for i, pair := range c.pairs() {
		at := ""
		if c.Keys != nil {
			at = settings.Path("keys", i)
		}
		enabled = enabled || pair.Enabled
		switch owner, twice := seen[pair.Key]; {
		case pair.Key == "":
			c.error(at+"/key", "the key is empty")
		case strings.Contains(pair.Key, ":"):
			c.error(at+"/key", "the key has a colon, which divides key and signature in what clients send")
		case twice && owner == c.ID:
			c.error(at+"/key", "key %q is there twice", pair.Key)
		case twice:
			c.error(at+"/key", "key %q belongs to app %q already: give every app keys of its own", pair.Key, owner)
		default:
			seen[pair.Key] = c.ID
		}
		if pair.Secret == "" {
			c.error(at+"/secret", "the secret is empty: anybody could sign")
		}
	}
	if !enabled {
		c.report.Warning(c.at+"/keys", "every key of app %q is switched off: nobody can use it", c.ID)
	}
}

func (c checker) checkSockets() {
	for i, origin := range c.AllowedOrigins {
		if _, err := path.Match(origin, ""); err != nil || origin == "" {
			c.error(settings.Path("allowed_origins", i), "%q is no pattern of a host: write app.example.com, localhost:* or https://app.example.com", origin)
		}
	}
	if c.SubscriptionError != "subscription_error" && c.SubscriptionError != SubscriptionErrorPlain {
		c.error("/subscription_error", "subscription_error is subscription_error or error, not %q", c.SubscriptionError)
	}
	for i, name := range c.Happenings {
		switch name {
		case ChannelOccupied, ChannelVacated, MemberAdded, MemberRemoved, CacheMiss, SubscriptionCount:
		default:
			c.error(settings.Path("happenings", i), "%q is no happening", name)
		}
	}
}

// maxTime is the longest time that a setting may have; what is longer is a slip.
const maxTime = 30 * 24 * time.Hour

func (c checker) checkTimes() {
	for _, setting := range []struct {
		name string
		time settings.Duration
		min  time.Duration
	}{
		{"authorized_connections", c.AuthorizedConnections, 0},
		{"watchlist_window", c.WatchlistWindow, 0},
		{"watchlist_offline_delay", c.WatchlistOfflineDelay, 0},
		{"activity_timeout", c.ActivityTimeout, time.Second},
		{"cache_ttl", c.CacheTTL, time.Second},
		{"leave_delay", c.LeaveDelay, 0},
		{"idempotency_window", c.IdempotencyWindow, 0},
		{"timestamp_window", c.TimestampWindow, 0},
	} {
		if t := setting.time.Std(); t < setting.min || t > maxTime {
			c.error(settings.Path(setting.name), "%s is %s: want %s to %s", setting.name, t, setting.min, maxTime)
		}
	}
	if c.ActivityTimeout.Std()%time.Second != 0 {
		c.error("/activity_timeout", "activity_timeout is in whole seconds: clients are told a number of them")
	}
}

func (c checker) checkLimits() {
	l := &c.Limits
	for _, limit := range []struct {
		name      string
		n         int64
		low, high int64
	}{
		{"channels_per_event", int64(l.ChannelsPerEvent), 1, 1 << 20},
		{"events_per_batch", int64(l.EventsPerBatch), 1, 1 << 20},
		{"event_name", int64(l.EventName), 1, core.MaxNameBytes / 4},
		{"event_data", int64(l.EventData), 1, core.MaxEventBytes / 4},
		{"channel_name", int64(l.ChannelName), 1, core.MaxTopicBytes},
		{"user_id", int64(l.UserID), 1, core.MaxTopicBytes},
		{"idempotency_key", int64(l.IdempotencyKey), 1, 1 << 16},
		{"publish_per_second", int64(l.PublishPerSecond), 0, 1 << 30},
		{"read_per_second", int64(l.ReadPerSecond), 0, 1 << 30},
		{"connections", int64(l.Connections), 0, 1 << 30},
		{"channels_per_connection", int64(l.ChannelsPerConnection), 0, 1 << 30},
		{"presence_members", int64(l.PresenceMembers), 1, 1 << 30},
		{"presence_member", int64(l.PresenceMember), 1, core.MaxEventBytes},
		{"client_events_per_second", int64(l.ClientEventsPerSecond), 0, 1 << 30},
		{"client_event_data", int64(l.ClientEventData), 1, core.MaxEventBytes},
		{"watchlist", int64(l.Watchlist), 1, 1 << 20},
		{"frame", int64(l.Frame), 1, core.MaxEventBytes},
	} {
		if limit.n < limit.low || limit.n > limit.high {
			c.error(settings.Path("limits", limit.name), "%s is %d: want %d to %d", limit.name, limit.n, limit.low, limit.high)
		}
	}
}
