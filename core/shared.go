package core

import (
	"io"
	"sync"
)

// SharedObjects are the objects that the instances of one process hold together,
// by key: what stands behind [Host.Shared]. Hosts have one; adapters do not use it.
type SharedObjects struct {
	mu      sync.Mutex
	objects map[string]*sharedObject
}

type sharedObject struct {
	object io.Closer
	users  int
}

// NewSharedObjects returns an empty set.
func NewSharedObjects() *SharedObjects {
	return &SharedObjects{objects: make(map[string]*sharedObject)}
}

// Acquire is Host.Shared. Creation holds the lock: it is rare, and two
// instances must not create the same object.
func (s *SharedObjects) Acquire(key string, create func() (io.Closer, error)) (io.Closer, func() error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shared := s.objects[key]
	if shared == nil {
		object, err := create()
		if err != nil {
			return nil, nil, err
		}
		shared = &sharedObject{object: object}
		s.objects[key] = shared
	}
	shared.users++
	return shared.object, sync.OnceValue(func() error { return s.release(key, shared) }), nil
}

func (s *SharedObjects) release(key string, shared *sharedObject) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if shared.users--; shared.users > 0 {
		return nil
	}
	delete(s.objects, key)
	return shared.object.Close()
}
