package rest

import (
	"context"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/core"
)

// postEvent publishes one event to some channels.
func (x *exchange) postEvent(ctx context.Context) reply {
	f, wrong := x.readEvent()
	if wrong != nil {
		return reply{fault: wrong}
	}
	m, wrong := f.check(x.app, false)
	if wrong != nil {
		return reply{fault: wrong}
	}
	if wrong := x.spend(len(m.channels)-1, 1); wrong != nil {
		return reply{fault: wrong}
	}
	if m.key == "" {
		return x.publishEvent(ctx, &m)
	}
	return x.publishOnce(ctx, &m)
}

// readEvent reads the members of the event from the body and, where it lacks them,
// from the query.
func (x *exchange) readEvent() (fields, *fault) {
	var f fields
	if body := x.buffers.body.Bytes(); len(body) > 0 {
		if !validObject(body) {
			return f, notJSON()
		}
		f = readFields(body)
	}
	f.addQuery(x.query)
	return f, nil
}

func notJSON() *fault {
	return &fault{status: http.StatusBadRequest, reason: reasonJSON, text: "Invalid JSON: the body is one JSON object in UTF-8"}
}

// publishEvent publishes a message and answers with the ids of its events, and
// with counts where they are wanted. Those are asked for first, so that nothing
// was published if they cannot be had.
func (x *exchange) publishEvent(ctx context.Context, m *message) reply {
	var counts map[string]core.Channel
	if m.info != 0 {
		var wrong *fault
		if counts, wrong = x.count(ctx, m.channels, m.info); wrong != nil {
			return reply{fault: wrong}
		}
	}
	x.buffers.events = m.appendEvents(x.buffers.events[:0], string(x.app.ID))
	ids, wrong := x.publish(ctx, true)
	if wrong != nil {
		return reply{fault: wrong}
	}
	b := append(make([]byte, 0, len(m.channels)*64+64), `{"event_ids":{`...)
	for i, name := range m.channels {
		if ids[i] != "" {
			b = appendMember(b, name)
			b = append(append(append(b, '"'), ids[i]...), '"')
		}
	}
	b = append(b, '}')
	if m.info != 0 {
		b = append(b, `,"channels":{`...)
		for _, name := range m.channels {
			b = appendAttributes(appendMember(b, name), name, m.info, counts[name])
		}
		b = append(b, '}')
	}
	return reply{body: append(b, '}')}
}

// appendMember appends the name of a member of an object, which is the name of a
// channel and so needs no escapes.
func appendMember(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(append(append(b, '"'), name...), '"')
	return append(b, ':')
}

// publish publishes the exchange's events. If it needs ids it returns one for each
// event, empty where the bus gave none.
func (x *exchange) publish(ctx context.Context, needIDs bool) ([]string, *fault) {
	events := x.buffers.events
	started := time.Now()
	receipts, err := x.host.Publish(ctx, core.Publication{Events: events, EventIDs: needIDs})
	x.metrics.latency.Observe(time.Since(started).Seconds())
	if err != nil {
		return nil, notPublished(err)
	}
	x.metrics.published(x.app, len(events))
	if !needIDs {
		return nil, nil
	}
	ids := make([]string, len(events))
	for _, receipt := range receipts {
		if receipt.Sink == "" && receipt.Event < len(ids) {
			ids[receipt.Event] = receipt.EventID
		}
	}
	return ids, nil
}

// postToChannel publishes the whole body as the data of an event.
func (x *exchange) postToChannel(ctx context.Context) reply {
	f := fields{channel: encode(x.route.channel), data: encode("")}
	if name, given := x.query.Find("name"); given {
		f.name = encode(name)
	}
	if socketID, given := x.query.Find("socket_id"); given {
		f.socketID = encode(socketID)
	}
	m, wrong := f.check(x.app, false)
	if wrong != nil {
		return reply{fault: wrong}
	}
	m.data = x.buffers.body.Bytes()
	if !utf8.Valid(m.data) {
		return reply{fault: badField("the data is not UTF-8")}
	}
	if limit := x.app.Limits.EventData; tooLarge(m.data, limit) {
		return reply{fault: oversize(limit)}
	}
	x.buffers.events = m.appendEvents(x.buffers.events[:0], string(x.app.ID))
	if _, wrong := x.publish(ctx, false); wrong != nil {
		return reply{fault: wrong}
	}
	return reply{status: http.StatusAccepted}
}

// postBatch publishes some events with a channel each.
func (x *exchange) postBatch(ctx context.Context) reply {
	messages, wrong := x.readBatch()
	if wrong != nil {
		return reply{fault: wrong}
	}
	if wrong := x.spend(len(messages)-1, 1); wrong != nil {
		return reply{fault: wrong}
	}
	for i := range messages {
		if messages[i].key != "" {
			return x.publishBatchOnce(ctx, messages)
		}
	}
	objects, wrong := x.publishBatch(ctx, messages)
	return batchReply(messages, objects, wrong)
}

// readBatch reads and checks the elements of a batch.
func (x *exchange) readBatch() ([]message, *fault) {
	body := x.buffers.body.Bytes()
	if !validObject(body) {
		return nil, notJSON()
	}
	var batch []byte
	eachMember(body, func(name, value []byte) {
		if string(name) == "batch" {
			batch = value
		}
	})
	if batch == nil || batch[0] != '[' {
		return nil, badField("batch is missing: give a list of events")
	}
	n, limit := countElements(batch), x.app.Limits.EventsPerBatch
	if n > limit {
		return nil, badField("Batch too large (> %d)", limit)
	}
	messages := make([]message, 0, n)
	var wrong *fault
	eachElement(batch, func(value []byte) bool {
		if value[0] != '{' {
			wrong = badField("batch[%d] is not an object", len(messages))
			return false
		}
		f := readFields(value)
		var m message
		if m, wrong = f.check(x.app, true); wrong != nil {
			wrong.text = fmt.Sprintf("batch[%d]: %s", len(messages), wrong.text)
			return false
		}
		messages = append(messages, m)
		return true
	})
	return messages, wrong
}

// publishBatch publishes messages in their order and returns the object of each
// for the answer.
func (x *exchange) publishBatch(ctx context.Context, messages []message) ([][]byte, *fault) {
	var names []string
	var wanted attributes
	x.buffers.events = x.buffers.events[:0]
	for i := range messages {
		m := &messages[i]
		if m.info != 0 {
			names = append(names, m.channels[0])
			wanted |= m.info
		}
		x.buffers.events = m.appendEvents(x.buffers.events, string(x.app.ID))
	}
	var counts map[string]core.Channel
	if wanted != 0 {
		var wrong *fault
		if counts, wrong = x.count(ctx, distinct(names), wanted); wrong != nil {
			return nil, wrong
		}
	}
	if len(messages) > 0 {
		if _, wrong := x.publish(ctx, false); wrong != nil {
			return nil, wrong
		}
	}
	objects := make([][]byte, len(messages))
	for i := range messages {
		objects[i] = []byte(emptyObject)
		if m := &messages[i]; m.info != 0 {
			objects[i] = appendAttributes(nil, m.channels[0], m.info, counts[m.channels[0]])
		}
	}
	return objects, nil
}

// batchReply answers a batch: with one object for each element if one of them
// has, or had, something to say.
func batchReply(messages []message, objects [][]byte, wrong *fault) reply {
	if wrong != nil {
		return reply{fault: wrong}
	}
	says := false
	for i := range messages {
		says = says || messages[i].info != 0 || len(objects[i]) > len(emptyObject)
	}
	if !says {
		return reply{body: []byte(emptyObject)}
	}
	b := []byte(`{"batch":[`)
	for i, object := range objects {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, object...)
	}
	return reply{body: append(b, `]}`...)}
}

// count asks how many there are on channels.
func (x *exchange) count(ctx context.Context, names []string, wanted attributes) (map[string]core.Channel, *fault) {
	users := false
	for _, name := range names {
		users = users || wanted&userCount != 0 && channel.KindOf(name).IsPresence()
	}
	return x.listChannels(ctx, core.ChannelsParams{Names: names, Users: users})
}
