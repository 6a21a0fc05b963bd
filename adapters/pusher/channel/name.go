package channel

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// UserPrefix begins the pseudo-channel of one signed-in user; what follows is the
// user's id.
const UserPrefix = "#server-to-user-"

// Limits are the longest names, in characters.
type Limits struct {
	Name   int // of a channel
	UserID int
}

// Check returns what is wrong with the name of a channel, or of a user's
// pseudo-channel; nil if nothing is.
func Check(name string, limits Limits) error {
	if id, ok := UserOf(name); ok {
		if err := check(id, limits.UserID, "a user id"); err != nil {
			return fmt.Errorf("channel %q: %w", clip(name), err)
		}
		return nil
	}
	if err := check(name, limits.Name, "a channel name"); err != nil {
		return fmt.Errorf("channel %q: %w", clip(name), err)
	}
	return nil
}

// CheckUserID returns what is wrong with the id of a user, nil if nothing is.
// limit is in characters.
func CheckUserID(id string, limit int) error {
	if err := check(id, limit, "a user id"); err != nil {
		return fmt.Errorf("user %q: %w", clip(id), err)
	}
	return nil
}

func check(text string, limit int, what string) error {
	if text == "" {
		return fmt.Errorf("%s is not empty", what)
	}
	// Every legal character is one byte; a name with others fails all the same.
	if len(text) > limit && utf8.RuneCountInString(text) > limit {
		return fmt.Errorf("%s has at most %d characters", what, limit)
	}
	if at := illegal(text); at >= 0 {
		r, _ := utf8.DecodeRuneInString(text[at:])
		return fmt.Errorf("the character %q is not allowed: use A-Z a-z 0-9 _ - = @ , . ;", r)
	}
	return nil
}

// UserOf returns the id in the name of a user's pseudo-channel. The id is not
// checked.
func UserOf(name string) (id string, ok bool) { return strings.CutPrefix(name, UserPrefix) }

// ForUser is the name of a user's pseudo-channel.
func ForUser(id string) string { return UserPrefix + id }

// Escape makes every illegal character of a name one "_".
func Escape(name string) string {
	if illegal(name) < 0 {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && legal(byte(r)) {
			return r
		}
		return '_'
	}, name)
}

// illegal returns the place of the first illegal character, -1 if there is none.
func illegal(text string) int {
	for i := 0; i < len(text); i++ {
		if !legal(text[i]) {
			return i
		}
	}
	return -1
}

func legal(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '_', '-', '=', '@', ',', '.', ';':
		return true
	}
	return false
}

// clip shortens a name for a message.
func clip(name string) string {
	const enough = 100
	if len(name) <= enough {
		return name
	}
	cut := enough
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + "…"
}
