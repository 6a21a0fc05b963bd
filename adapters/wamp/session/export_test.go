package session

// Unanswered is the number of publications without an answer yet.
func (s *Session) Unanswered() int { return len(s.window) }
