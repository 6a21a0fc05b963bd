package crossbar

import "container/list"

// recent is a map that holds at most so many entries: the least recently used
// one makes room. It is not safe for use from several goroutines.
type recent[K comparable, V any] struct {
	limit   int
	entries map[K]*list.Element
	order   *list.List // of *pair[K, V], the most recently used in front
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](limit int) *recent[K, V] {
	return &recent[K, V]{limit: limit, entries: make(map[K]*list.Element), order: list.New()}
}

// get returns the entry and marks it as used.
func (r *recent[K, V]) get(key K) (V, bool) {
	element, ok := r.entries[key]
	if !ok {
		var none V
		return none, false
	}
	r.order.MoveToFront(element)
	return element.Value.(*pair[K, V]).value, true
}

// put adds or replaces an entry.
func (r *recent[K, V]) put(key K, value V) {
	if element, ok := r.entries[key]; ok {
		element.Value.(*pair[K, V]).value = value
		r.order.MoveToFront(element)
		return
	}
	if len(r.entries) >= r.limit {
		oldest := r.order.Back()
		r.order.Remove(oldest)
		delete(r.entries, oldest.Value.(*pair[K, V]).key)
	}
	r.entries[key] = r.order.PushFront(&pair[K, V]{key, value})
}
