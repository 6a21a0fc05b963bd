package core

// Batch is some events on their way to a [Sink], in order. The zero Batch is
// empty.
type Batch struct {
	// Events are read-only; see [Event].
	Events []Event

	answer func(first, count int, receipt Receipt)
}

// NewBatch makes a batch whose answers go to answer: one receipt that holds for
// count events from index first on. It may be called from any goroutine and
// must not block. Adapters are handed their batches; NewBatch is for hosts and
// tests.
func NewBatch(events []Event, answer func(first, count int, receipt Receipt)) Batch {
	return Batch{Events: events, answer: answer}
}

// Answer answers event i. It does not block. A second answer for the same event
// is ignored.
func (b Batch) Answer(i int, receipt Receipt) { b.answer(i, 1, receipt) }

// AnswerAll answers every event of the batch alike, in one step.
func (b Batch) AnswerAll(receipt Receipt) { b.answer(0, len(b.Events), receipt) }
