package rest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// publishOnce publishes a message unless one with its key was published before:
// then that one's answer is the answer.
func (x *exchange) publishOnce(ctx context.Context, m *message) reply {
	id := answerID(opPostEvent, string(x.app.ID), m.key)
	release, wrong := x.enter(ctx, []string{id})
	if wrong != nil {
		return reply{fault: wrong}
	}
	defer release()
	first, wrong := x.claim(ctx, id)
	if wrong != nil {
		return reply{fault: wrong}
	}
	if first != nil {
		return reply{body: first}
	}
	r := x.publishEvent(ctx, m)
	if r.fault != nil {
		x.answers.abandon(id)
		return r
	}
	x.remember(ctx, id, r.body)
	return r
}

// publishBatchOnce publishes the messages of a batch that were not published
// before; the others keep the objects that they had in their first answer.
func (x *exchange) publishBatchOnce(ctx context.Context, messages []message) reply {
	ids := make([]string, len(messages)) // empty: no key
	objects := make(map[string][]byte)   // by id; nil: published now
	for i := range messages {
		if key := messages[i].key; key != "" {
			ids[i] = answerID(opPostBatch, string(x.app.ID), key)
			objects[ids[i]] = nil
		}
	}
	keyed := slices.Sorted(maps.Keys(objects))
	release, wrong := x.enter(ctx, keyed)
	if wrong != nil {
		return reply{fault: wrong}
	}
	defer release()
	for i, id := range keyed {
		if objects[id], wrong = x.claim(ctx, id); wrong != nil {
			x.abandonNew(keyed[:i], objects)
			return reply{fault: wrong}
		}
	}
	answer := make([][]byte, len(messages))
	places, wrong := x.publishNew(ctx, messages, ids, objects, answer)
	if wrong != nil {
		x.abandonNew(keyed, objects)
		return reply{fault: wrong}
	}
	for _, i := range places {
		if id := ids[i]; id != "" {
			objects[id] = answer[i]
			x.remember(ctx, id, answer[i])
		}
	}
	for i, id := range ids {
		if answer[i] == nil {
			answer[i] = objects[id]
		}
	}
	return batchReply(messages, answer, nil)
}

// publishNew publishes the messages without a key, and the first with each key
// that has no object yet. It fills in their places of answer, and returns those.
func (x *exchange) publishNew(ctx context.Context, messages []message, ids []string, objects map[string][]byte, answer [][]byte) (places []int, wrong *fault) {
	var fresh []message
	for i, id := range ids {
		if id == "" || objects[id] == nil && slices.Index(ids, id) == i {
			fresh, places = append(fresh, messages[i]), append(places, i)
		}
	}
	published, wrong := x.publishBatch(ctx, fresh)
	for n, object := range published {
		answer[places[n]] = object
	}
	return places, wrong
}

// abandonNew gives up the claims on ids that have no object.
func (x *exchange) abandonNew(ids []string, objects map[string][]byte) {
	for _, id := range ids {
		if objects[id] == nil {
			x.answers.abandon(id)
		}
	}
}

// enter waits until no other request of this process with one of the keys is at
// work. The keys are in order, the same for all, so that no two batches wait for
// each other.
func (x *exchange) enter(ctx context.Context, ids []string) (release func(), wrong *fault) {
	for i, id := range ids {
		if err := x.atWork.take(ctx, id); err != nil {
			x.atWork.release(ids[:i])
			return nil, unavailable(0, fmt.Errorf("wait for the first request with this idempotency_key: %w", err))
		}
	}
	return func() { x.atWork.release(ids) }, nil
}

// claim returns the first answer under id; nil if this request is the first.
func (x *exchange) claim(ctx context.Context, id string) ([]byte, *fault) {
	first, forgotten, err := x.answers.claim(ctx, string(x.app.ID), id, x.arrived, x.app.IdempotencyWindow.Std())
	x.metrics.forgotten.Add(float64(forgotten))
	if err != nil {
		return nil, unavailable(0, err)
	}
	if first != nil {
		x.metrics.repeats.Inc()
	}
	return first, nil
}

// remember keeps an answer. One that cannot be kept was given all the same.
func (x *exchange) remember(ctx context.Context, id string, body []byte) {
	forgotten, err := x.answers.put(ctx, string(x.app.ID), id, body, x.arrived, x.app.IdempotencyWindow.Std())
	x.metrics.forgotten.Add(float64(forgotten))
	if err == nil {
		return
	}
	x.answers.abandon(id)
	x.failureNotice.Do(func() {
		x.log.Warn("an answer could not be remembered; a repeat of its idempotency_key would be published again", "app", x.app.ID, "error", err)
	})
}

// answerID is the key under which an answer is remembered: of a fixed length,
// whatever clients choose.
func answerID(o operation, app, key string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s%s", o, len(app), app, key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// atWork are the keys with a request at work in this process.
type atWork struct {
	mu   sync.Mutex
	keys map[string]chan struct{} // closed on release
}

// take takes a key as soon as nobody has it, or returns ctx's error.
func (a *atWork) take(ctx context.Context, id string) error {
	for {
		a.mu.Lock()
		released, taken := a.keys[id]
		if !taken {
			a.keys[id] = make(chan struct{})
			a.mu.Unlock()
			return nil
		}
		a.mu.Unlock()
		select {
		case <-released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *atWork) release(ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		close(a.keys[id])
		delete(a.keys, id)
	}
}
