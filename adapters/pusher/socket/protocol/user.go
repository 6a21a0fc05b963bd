package protocol

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// Member is a user in a presence channel.
type Member struct {
	ID   string          `json:"id"`
	Info json.RawMessage `json:"info,omitempty"` // as it was signed; nil if there is none
}

// Size is what a member's data takes.
func (m Member) Size() int { return len(m.ID) + len(m.Info) }

// ParseMember reads the channel_data of a presence subscription, whose signature
// has been verified. The errors are for the client.
func ParseMember(channelData string) (Member, error) {
	var fields Fields
	if err := json.Unmarshal([]byte(channelData), &fields); err != nil || fields == nil {
		return Member{}, errors.New("channel_data is invalid: want a JSON object")
	}
	id, err := memberID(fields["user_id"])
	if err != nil {
		return Member{}, err
	}
	info, ok := fields.info()
	if !ok {
		return Member{}, errors.New("user_info supplied to presence subscription is invalid - if supplied it must be a type of hash")
	}
	return Member{ID: id, Info: info}, nil
}

// memberID is a user_id as text: a number, too, is one.
func memberID(raw json.RawMessage) (string, error) {
	if text, ok := asString(raw); ok {
		if text == "" {
			return "", errors.New("channel_data is invalid: user_id is empty")
		}
		return text, nil
	}
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		return decimal(string(raw)), nil
	}
	return "", errors.New("channel_data is invalid: user_id must be a string or a number")
}

// decimal writes a JSON number without an exponent; an integer keeps its digits.
func decimal(number string) string {
	if !strings.ContainsAny(number, ".eE") {
		return number
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return number // beyond 64 bits: better its own text than none
	}
	return strconv.FormatFloat(value, 'f', -1, 64)
}

// info returns user_info; false if it is there and no object.
func (f Fields) info() (json.RawMessage, bool) {
	if !f.Has("user_info") {
		return nil, true
	}
	return f["user_info"], isObject(f["user_info"])
}

// User is who signs in.
type User struct {
	ID        string
	Info      json.RawMessage // nil if there is none
	Watchlist []string        // nil if there is none
}

// ParseUser reads the user_data of a sign-in, whose signature has been verified.
// The errors are for the client.
func ParseUser(userData string) (User, error) {
	var fields Fields
	if err := json.Unmarshal([]byte(userData), &fields); err != nil || fields == nil {
		return User{}, errors.New("user_data is invalid: want a JSON object")
	}
	var u User
	var ok bool
	if u.ID, ok = fields.String("id"); !ok || u.ID == "" {
		return User{}, errors.New("user_data is invalid: id must be a non-empty string")
	}
	if u.Info, ok = fields.info(); !ok {
		return User{}, errors.New("user_data is invalid: user_info must be an object")
	}
	if !fields.Has("watchlist") {
		return u, nil
	}
	if err := json.Unmarshal(fields["watchlist"], &u.Watchlist); err != nil {
		return User{}, errors.New("user_data is invalid: watchlist must be a list of user ids")
	}
	return u, nil
}
