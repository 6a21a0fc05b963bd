package socket

import (
	"context"
	"crypto/rand"
	"iter"
	"sync"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/socket/peer"
	"github.com/pushbridge/bridge/core"
)

// generations is what this generation of the instance has to do with the others:
// it tells them its news and hears theirs, finds out which of them is the owner,
// and as the owner stores what the next one must know.
//
// The owner is the oldest that does not yield, and that has heard of all others.
// A hello is said after storing, so whoever hears it finds in the store all that
// the one who says it knew before.
type generations struct {
	host    core.Host
	apps    func() *apps
	store   store
	cancel  context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // capacity 1: whoever is woken looks at everything

	work   sync.Mutex // held by whoever talks to others or to the store
	seeing sync.Mutex // held by whoever looks who is there, until the apps know

	mu      sync.Mutex
	self    peer.Hello
	others  map[string]*other // by name; see here
	started bool
	owning  bool
	greet   bool          // the others are to be told who this is
	dirty   bool          // something is to be stored
	reload  bool          // the store has what this generation may have missed
	told    chan struct{} // capacity 1: another has told everything, or is gone
}

// other is another generation.
type other struct {
	seen     bool        // it is known to be there; it may be heard of before
	hello    *peer.Hello // nil if it has said nothing yet
	complete bool        // it has told everything that was before this generation
}

// storePace is the time between two times of storing.
const storePace = 250 * time.Millisecond

func newGenerations(host core.Host, current func() *apps) *generations {
	g := &generations{
		host: host, apps: current, store: newStore(host), wake: make(chan struct{}, 1),
		self: peer.Hello{Born: time.Now().UnixNano(), ID: rand.Text()}, others: make(map[string]*other),
		told: make(chan struct{}, 1),
	}
	return g
}

// begin starts the goroutine; the apps are there.
func (g *generations) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.running.Go(func() { g.run(ctx) })
}

// tellPatience is how long a newcomer waits to be told everything. Its clients
// get the rest as it comes.
const tellPatience = 3 * time.Second

// start finds out who else is there; before, nothing is owned. When it returns,
// this generation knows what is cached and who is there, as far as others were
// known.
func (g *generations) start(ctx context.Context) {
	g.mu.Lock()
	g.started = true
	g.mu.Unlock()
	g.peersChanged()
	g.listen(ctx)
	g.restoreCaches(ctx)
	g.work.Lock()
	defer g.work.Unlock()
	g.settle(ctx)
}

// listen waits until all others have told everything, or for a while.
func (g *generations) listen(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tellPatience)
	defer cancel()
	for !g.complete() {
		select {
		case <-g.told:
		case <-ctx.Done():
			return
		}
	}
}

// here are the others that are there. g.mu is held.
func (g *generations) here() iter.Seq2[string, *other] {
	return func(yield func(string, *other) bool) {
		for name, o := range g.others {
			if o.seen && !yield(name, o) {
				return
			}
		}
	}
}

// alone reports whether there are no others.
func (g *generations) alone() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range g.here() {
		return false
	}
	return true
}

// complete reports whether all others have told everything.
func (g *generations) complete() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.here() {
		if !o.complete {
			return false
		}
	}
	return true
}

// news wakes the one who talks. Like unsaved, it does not wait.
func (g *generations) news() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// unsaved says that there is something to store.
func (g *generations) unsaved() {
	g.mu.Lock()
	g.dirty = true
	g.mu.Unlock()
	g.news()
}

// changed says that there are new apps.
func (g *generations) changed() {
	g.seeing.Lock()
	defer g.seeing.Unlock()
	shared := !g.alone()
	g.mu.Lock()
	owning := g.owning
	g.owning = false // and again, for the new ones
	g.dirty = g.dirty || owning
	g.mu.Unlock()
	for _, e := range g.apps().byID {
		e.space.Share(shared)
	}
	g.news()
}

// run talks and stores whenever there is something.
func (g *generations) run(ctx context.Context) {
	timer := time.NewTimer(storePace)
	defer timer.Stop()
	var stored time.Time
	for {
		select {
		case <-g.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		g.work.Lock()
		greeted := g.greetOthers(ctx)
		g.settle(ctx)
		g.tell(ctx)
		if greeted {
			g.broadcast(ctx, peer.Message{Complete: true}.Encode())
		}
		if wait := time.Until(stored.Add(storePace)); wait > 0 {
			timer.Reset(wait)
		} else if g.save(ctx) {
			stored = time.Now()
		}
		g.work.Unlock()
	}
}

// greetOthers tells newcomers, if there are any, who this is.
func (g *generations) greetOthers(ctx context.Context) (greeted bool) {
	g.mu.Lock()
	greet, hello := g.greet, g.self
	g.greet = false
	g.mu.Unlock()
	if greet {
		g.save(ctx)
		g.broadcast(ctx, peer.Message{Hello: &hello}.Encode())
	}
	return greet
}

// tell tells the others the news of every app.
func (g *generations) tell(ctx context.Context) {
	if g.alone() {
		return
	}
	for _, e := range g.apps().byID {
		for more := true; more; {
			var told peer.News
			told, more = e.space.News()
			for _, message := range peer.Encode(told) {
				g.broadcast(ctx, message)
			}
		}
	}
}

func (g *generations) broadcast(ctx context.Context, message []byte) {
	if err := g.host.Peers().Broadcast(ctx, message); err != nil && ctx.Err() == nil {
		g.host.Log().Warn("the other generation of this instance does not hear", "error", err)
	}
}

// settle makes this generation the owner if it is its turn, or ends that.
func (g *generations) settle(ctx context.Context) {
	g.mu.Lock()
	due, owning, reload := g.due(), g.owning, g.reload
	g.owning, g.reload = due, false
	g.mu.Unlock()
	if reload {
		g.restoreCaches(ctx)
	}
	for id, e := range g.apps().byID {
		switch {
		case due && !owning:
			e.space.Own(g.store.told(ctx, id))
		case owning && !due:
			e.space.Yield()
		}
	}
}

// due reports whether this generation is the owner by now. g.mu is held.
func (g *generations) due() bool {
	if !g.started || g.self.Yields {
		return false
	}
	for _, o := range g.here() {
		if o.hello == nil || !o.hello.Yields && o.hello.Before(g.self) {
			return false
		}
	}
	return true
}

// save stores what the owner has to store, and reports whether there was
// anything. Others keep what they have until they are the owner.
func (g *generations) save(ctx context.Context) bool {
	g.mu.Lock()
	save := g.dirty && g.owning
	if save {
		g.dirty = false
	}
	g.mu.Unlock()
	if save {
		for id, e := range g.apps().byID {
			g.store.save(ctx, id, e.space)
		}
	}
	return save
}

func (g *generations) restoreCaches(ctx context.Context) {
	for id, e := range g.apps().byID {
		e.space.RestoreCache(g.store.cached(ctx, id))
	}
}

// yield leaves what the owner does to another generation. One that has become the
// owner without knowing stores what it has.
func (g *generations) yield(ctx context.Context) {
	g.peersChanged()
	g.work.Lock()
	defer g.work.Unlock()
	g.settle(ctx)
	g.mu.Lock()
	already := g.self.Yields
	g.self.Yields, g.dirty = true, true
	hello := g.self
	g.mu.Unlock()
	if already {
		return
	}
	g.save(ctx)
	g.settle(ctx)
	if !g.alone() {
		g.broadcast(ctx, peer.Message{Hello: &hello}.Encode())
	}
}

// stop yields, and returns when nothing runs any more.
func (g *generations) stop(ctx context.Context) {
	g.yield(ctx)
	g.cancel()
	g.running.Wait()
}
