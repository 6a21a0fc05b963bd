// Package peer is what the generations of a socket instance tell one another
// while two are at work: the state of each other's listeners, so that each can
// answer its own for both, and the client events of each other's clients. Events
// from the bus are none of its business: the bus gives them to every generation.
//
// State is told as it is, not as it changes: a message replaces what the same
// generation said before about the same channel or user, so that a newcomer is
// told everything by the same means.
package peer

import (
	"encoding/json"
	"fmt"

	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
)

// Message is one message between generations.
type Message struct {
	Hello *Hello `json:"hello,omitempty"`
	News  []News `json:"news,omitempty"`
	// Complete says to a newcomer that it has been told everything.
	Complete bool `json:"complete,omitempty"`
}

// Hello says who a generation is. What it has stored, it has stored before.
type Hello struct {
	Born int64  `json:"born"` // when it was opened, in Unix nanoseconds
	ID   string `json:"id"`   // decides among those of one time
	// Yields says that it leaves what one generation does for all to another.
	Yields bool `json:"yields,omitempty"`
}

// Before reports whether h is the older generation.
func (h Hello) Before(other Hello) bool {
	return h.Born < other.Born || h.Born == other.Born && h.ID < other.ID
}

// News are about the listeners of one app.
type News struct {
	App      string    `json:"app"`
	Channels []Channel `json:"channels,omitempty"`
	Users    []User    `json:"users,omitempty"`
	Events   []Event   `json:"events,omitempty"`
	Missed   []string  `json:"missed,omitempty"` // cache channels where a subscriber found nothing
}

// Channel is the state of one channel.
type Channel struct {
	Name    string            `json:"name"`
	Count   int               `json:"count"` // connections subscribed
	Members []protocol.Member `json:"members,omitempty"`
}

// User is the state of one user.
type User struct {
	ID     string `json:"id"`
	Online bool   `json:"online"` // signed in on a connection
}

// Event is a client event as the subscribers get it.
type Event struct {
	Channel string          `json:"channel"`
	Frame   json.RawMessage `json:"frame"`
}

// batchBytes is about how long a message of News gets. One that holds more than
// that in one channel or event is longer.
const batchBytes = 128 << 10

// Encode writes news as messages of moderate length, in order.
func Encode(news News) [][]byte {
	var messages [][]byte
	part, size := News{App: news.App}, 0
	flush := func() {
		if size > 0 {
			messages = append(messages, Message{News: []News{part}}.Encode())
			part, size = News{App: news.App}, 0
		}
	}
	grow := func(n int) {
		if size += n; size >= batchBytes {
			flush()
		}
	}
	for _, c := range news.Channels {
		part.Channels = append(part.Channels, c)
		n := len(c.Name) + 64
		for _, m := range c.Members {
			n += m.Size() + 32
		}
		grow(n)
	}
	for _, u := range news.Users {
		part.Users = append(part.Users, u)
		grow(len(u.ID) + 32)
	}
	for _, name := range news.Missed {
		part.Missed = append(part.Missed, name)
		grow(len(name) + 8)
	}
	for _, e := range news.Events {
		part.Events = append(part.Events, e)
		grow(len(e.Channel) + len(e.Frame) + 64)
	}
	flush()
	return messages
}

// Encode writes the message.
func (m Message) Encode() []byte {
	data, err := json.Marshal(m)
	if err != nil {
		return nil // only a member's info or a frame could be no JSON, and both were read as such
	}
	return data
}

// Decode reads a message.
func Decode(data []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(data, &m); err != nil {
		return Message{}, fmt.Errorf("message of another generation: %w", err)
	}
	return m, nil
}
