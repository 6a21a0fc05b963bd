package stream

import (
	"fmt"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/frame"
)

// Field numbers of the stream messages.
const (
	publicationsField = 1 // PublicationBatch

	publicationNumber = 1 // Publication
	publicationAck    = 2
	publicationNeedID = 3
	publicationEvents = 4
	publicationIDs    = 5

	resultsThrough = 1 // ResultBatch
	resultsResults = 2
	resultsAck     = 3

	deliverFirst  = 1 // DeliverBatch
	deliverEvents = 2

	receiptsThrough  = 1 // ReceiptBatch
	receiptsReceipts = 2
)

// AppendPublication appends an entry of a PublicationBatch.
func AppendPublication(b []byte, number uint64, p *core.Publication) []byte {
	b = protowire.AppendTag(b, publicationsField, protowire.BytesType)
	b, entry := openLength(b)
	b = appendVarintField(b, publicationNumber, number)
	b = appendVarintField(b, publicationAck, uint64(p.Ack))
	b = appendVarintField(b, publicationNeedID, protowire.EncodeBool(p.NeedID))
	b = appendVarintField(b, publicationIDs, protowire.EncodeBool(p.EventIDs))
	for i := range p.Events {
		b = protowire.AppendTag(b, publicationEvents, protowire.BytesType)
		var event int
		b, event = openLength(b)
		b = frame.Append(b, &p.Events[i])
		closeLength(b, event)
	}
	closeLength(b, entry)
	return b
}

// lengthWidth is the width of a length that is filled in later: enough for
// MaxMessageBytes. Protobuf allows a varint to be padded, so the length of what
// follows need not be known, and events are encoded in one pass.
const lengthWidth = 4

// openLength leaves room for a length and returns where.
func openLength(b []byte) (_ []byte, at int) {
	return append(b, 0, 0, 0, 0), len(b)
}

// closeLength writes the length of everything behind the room at at.
func closeLength(b []byte, at int) {
	length := len(b) - at - lengthWidth
	b[at] = byte(length) | 0x80
	b[at+1] = byte(length>>7) | 0x80
	b[at+2] = byte(length>>14) | 0x80
	b[at+3] = byte(length >> 21 & 0x7f)
}

// Publications is a PublicationBatch as it was read. It is scratch space: each
// [Publications.Parse] overwrites the last.
type Publications struct {
	// First is the number of the first publication; the others follow by one.
	First uint64
	Batch []bus.Publication

	frames []frame.Frame
	ends   []int // ends[i] is where the frames of publication i end
}

// Parse reads a message. Frames share its memory. An error means that the message
// is malformed as such, or that its numbers do not follow one another; a
// publication with a malformed event carries a refusal instead, so that it is
// refused alone.
func (p *Publications) Parse(b []byte) error {
	p.Batch, p.frames, p.ends = p.Batch[:0], p.frames[:0], p.ends[:0]
	for len(b) > 0 {
		number, _, content, n, err := field(b)
		if err != nil {
			return err
		}
		b = b[n:]
		if number != publicationsField {
			continue
		}
		if err := p.parseOne(content); err != nil {
			return err
		}
	}
	start := 0
	for i, end := range p.ends {
		p.Batch[i].Frames = p.frames[start:end:end]
		start = end
	}
	return nil
}

func (p *Publications) parseOne(b []byte) error {
	var one bus.Publication
	var id uint64
	for len(b) > 0 {
		number, value, content, n, err := field(b)
		if err != nil {
			return err
		}
		b = b[n:]
		switch number {
		case publicationNumber:
			id = value
		case publicationAck:
			one.Ack = core.Ack(min(value, uint64(core.AckAll)))
		case publicationNeedID:
			one.NeedID = value != 0
		case publicationIDs:
			one.EventIDs = value != 0
		case publicationEvents:
			f, err := frame.Parse(content)
			if err != nil && one.Refusal == nil {
				one.Refusal = core.AsRefusal(err)
			}
			p.frames = append(p.frames, f)
		}
	}
	switch {
	case len(p.Batch) == 0:
		p.First = id
	case id != p.First+uint64(len(p.Batch)):
		return fmt.Errorf("publication %d came where %d was due", id, p.First+uint64(len(p.Batch)))
	}
	p.Batch, p.ends = append(p.Batch, one), append(p.ends, len(p.frames))
	return nil
}

// AppendResult appends an entry of a ResultBatch.
func AppendResult(b []byte, number uint64, result bus.Result) []byte {
	body := appendVarintField(nil, 1, number)
	for i := range result.Receipts {
		body = appendMessage(body, 2, AppendReceipt(nil, &result.Receipts[i]))
	}
	if result.Err != nil {
		body = appendMessage(body, 3, appendRefusal(nil, result.Err))
	}
	return appendMessage(b, resultsResults, body)
}

// AppendResultTrailer appends the mark of a ResultBatch and, unless it is zero,
// the ack that the instance's routes ask for.
func AppendResultTrailer(b []byte, through uint64, ack core.Ack) []byte {
	b = appendVarintField(b, resultsThrough, through)
	return appendVarintField(b, resultsAck, uint64(ack))
}

// Results is a ResultBatch.
type Results struct {
	Through uint64
	Ack     core.Ack // zero: unchanged
	Single  []NumberedResult
}

// NumberedResult is one entry of a ResultBatch.
type NumberedResult struct {
	Number uint64
	Result bus.Result
}

// ParseResults reads a ResultBatch.
func ParseResults(b []byte) (Results, error) {
	var results Results
	err := eachField(b, func(number protowire.Number, value uint64, content []byte) error {
		switch number {
		case resultsThrough:
			results.Through = value
		case resultsAck:
			results.Ack = core.Ack(value)
		case resultsResults:
			result, err := parseResult(content)
			results.Single = append(results.Single, result)
			return err
		}
		return nil
	})
	return results, err
}

func parseResult(b []byte) (NumberedResult, error) {
	var r NumberedResult
	err := eachField(b, func(number protowire.Number, value uint64, content []byte) error {
		switch number {
		case 1:
			r.Number = value
		case 2:
			receipt, err := ParseReceipt(content)
			r.Result.Receipts = append(r.Result.Receipts, receipt)
			return err
		case 3:
			refusal, err := parseRefusal(content)
			r.Result.Err = refusal
			return err
		}
		return nil
	})
	return r, err
}

// NewDeliverBatch makes a DeliverBatch of the deliveries' frames.
func (p *Buffers) NewDeliverBatch(first uint64, batch []bus.Delivery) *Message {
	size := 1 + protowire.SizeVarint(first)
	for i := range batch {
		size += 1 + protowire.SizeBytes(batch[i].Frame.Len())
	}
	buffer := p.Get(size)
	b := appendVarintField((*buffer)[:0], deliverFirst, first)
	for i := range batch {
		b = appendMessage(b, deliverEvents, batch[i].Frame.Bytes())
	}
	*buffer = b
	return p.message(buffer)
}

// ParseDeliver reads a DeliverBatch. The events share the message's memory, their
// strings too: nobody writes to a received message, and an event's Data, which
// an adapter could write to against the rules, overlaps no string.
func ParseDeliver(b []byte) (first uint64, events []core.Event, err error) {
	text := unsafe.String(unsafe.SliceData(b), len(b))
	events = make([]core.Event, 0, countFields(b, deliverEvents))
	at := 0
	for at < len(b) {
		number, value, content, n, err := field(b[at:])
		if err != nil {
			return 0, nil, err
		}
		end := at + n
		switch number {
		case deliverFirst:
			first = value
		case deliverEvents:
			events = append(events, frame.Decode(content, text[end-len(content):end]))
		}
		at = end
	}
	return first, events, nil
}

// AppendNumberedReceipt appends an entry of a ReceiptBatch.
func AppendNumberedReceipt(b []byte, number uint64, receipt *core.Receipt) []byte {
	body := appendVarintField(nil, 1, number)
	body = appendMessage(body, 2, AppendReceipt(nil, receipt))
	return appendMessage(b, receiptsReceipts, body)
}

// AppendReceiptTrailer appends the mark of a ReceiptBatch.
func AppendReceiptTrailer(b []byte, through uint64) []byte {
	return appendVarintField(b, receiptsThrough, through)
}

// ParseReceipts reads a ReceiptBatch: single is called for its entries, and the
// mark is returned.
func ParseReceipts(b []byte, single func(number uint64, receipt core.Receipt)) (through uint64, err error) {
	err = eachField(b, func(number protowire.Number, value uint64, content []byte) error {
		switch number {
		case receiptsThrough:
			through = value
		case receiptsReceipts:
			return parseNumberedReceipt(content, single)
		}
		return nil
	})
	return through, err
}

func parseNumberedReceipt(b []byte, single func(number uint64, receipt core.Receipt)) error {
	var id uint64
	receipt := core.Receipt{Receivers: core.ReceiversUnknown}
	err := eachField(b, func(number protowire.Number, value uint64, content []byte) (err error) {
		switch number {
		case 1:
			id = value
		case 2:
			receipt, err = ParseReceipt(content)
		}
		return err
	})
	if err == nil {
		single(id, receipt)
	}
	return err
}

// field reads one field: value is set for numbers, content for bytes.
func field(b []byte) (number protowire.Number, value uint64, content []byte, n int, err error) {
	number, wireType, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, 0, nil, 0, fmt.Errorf("malformed message: %w", protowire.ParseError(n))
	}
	var size int
	switch wireType {
	case protowire.VarintType:
		value, size = protowire.ConsumeVarint(b[n:])
	case protowire.BytesType:
		content, size = protowire.ConsumeBytes(b[n:])
	default:
		size = protowire.ConsumeFieldValue(number, wireType, b[n:])
	}
	if size < 0 {
		return 0, 0, nil, 0, fmt.Errorf("malformed message: %w", protowire.ParseError(size))
	}
	return number, value, content[:len(content):len(content)], n + size, nil
}

// countFields counts the fields with that number up to the first defect.
func countFields(b []byte, number protowire.Number) int {
	count := 0
	for len(b) > 0 {
		n, _, _, size, err := field(b)
		if err != nil {
			break
		}
		if n == number {
			count++
		}
		b = b[size:]
	}
	return count
}

// eachField calls visit for each field of a message.
func eachField(b []byte, visit func(number protowire.Number, value uint64, content []byte) error) error {
	for len(b) > 0 {
		number, value, content, n, err := field(b)
		if err != nil {
			return err
		}
		if err := visit(number, value, content); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func appendMessage(b []byte, number protowire.Number, body []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, body)
}

func appendVarintField(b []byte, number protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.VarintType)
	return protowire.AppendVarint(b, value)
}
