package config

import (
	"encoding/json"
	"fmt"
	"sync"

	reflected "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pushbridge/bridge/core/kit/settings"
)

// Route is a file of conf.d: sources, and the sinks their events go to.
type Route struct {
	Inbound  OneOrMore[Inbound]  `json:"inbound" jsonschema:"required" jsonschema_description:"Where events come from: one instance, or a list."`
	Outbound OneOrMore[Outbound] `json:"outbound,omitempty" jsonschema_description:"Where they go: one instance, or a list. A hub that serves its own listeners needs none."`
	Ack      string              `json:"ack,omitempty" jsonschema:"enum=sent,enum=queued,enum=first,enum=all" jsonschema_description:"When a publisher is answered, if it does not ask for more: sent (on its way to the bridge), queued (the bridge has it; the default), first (one sink accepted it), all (every sink answered)."`
}

// Instance is what an inbound and an outbound have in common: a configured
// adapter, or the name of an instance that another file configures.
type Instance struct {
	Adapter   string         `json:"adapter,omitempty" jsonschema:"minLength=1" jsonschema_description:"Name of the adapter; bridge adapters lists them."`
	Use       string         `json:"use,omitempty" jsonschema:"minLength=1" jsonschema_description:"Name of an instance that another file configures, in place of an adapter."`
	Plugin    string         `json:"plugin,omitempty" jsonschema:"minLength=1" jsonschema_description:"Plugin that serves the adapter, if its name cannot be told from the adapter's."`
	Name      string         `json:"name,omitempty" jsonschema:"pattern=^[A-Za-z0-9][A-Za-z0-9._-]*$,maxLength=200" jsonschema_description:"Unique name of the instance; ROUTE.ADAPTER if it is left out."`
	Process   string         `json:"process,omitempty" jsonschema:"minLength=1" jsonschema_description:"Instances of this file with the same process name run in one process, where one executable serves them all; then they can share an address by path."`
	Isolation string         `json:"isolation,omitempty" jsonschema:"enum=process,enum=none" jsonschema_description:"process (default): the adapter runs in a process of its own. none: a bundled adapter runs inside the bridge."`
	MTLS      bool           `json:"mtls,omitempty" jsonschema_description:"Encrypt the connection between bridge and plugin. It costs CPU; the default is a socket in a private folder."`
	Env       []string       `json:"env,omitempty" jsonschema_description:"Names of environment variables that the plugin's process gets besides the usual ones."`
	Config    map[string]any `json:"config,omitempty" jsonschema_description:"The adapter's own configuration; bridge schema ADAPTER shows it."`
}

// Inbound is a source of a route.
type Inbound struct {
	Instance
}

// Outbound is a sink of a route with the edge that leads to it.
type Outbound struct {
	Instance
	Kinds    []string `json:"kinds,omitempty" jsonschema:"enum=message,enum=client,enum=happening" jsonschema_description:"Kinds of events that pass; message and client if it is left out."`
	When     string   `json:"when,omitempty" jsonschema_description:"CEL expression over event; only events for which it is true pass."`
	Set      Set      `json:"set,omitempty" jsonschema_description:"CEL expressions over event that replace its attributes on this edge."`
	Overflow string   `json:"overflow,omitempty" jsonschema:"enum=reject,enum=block,enum=drop-oldest" jsonschema_description:"What happens when the queue is full: reject (default) refuses the new event, block lets the publisher wait, drop-oldest makes room."`
	Queue    Queue    `json:"queue,omitempty" jsonschema_description:"Bounds of the edge's queue."`
	Retry    *Retry   `json:"retry,omitempty" jsonschema_description:"Deliver again what the sink refused for now: after growing waits, from memory. {} takes the defaults. Without it every event is tried once."`
}

// Retry says how an edge goes on with what its sink refused for now. What a file
// leaves out has its default.
type Retry struct {
	For      settings.Duration `json:"for" jsonschema:"default=290s" jsonschema_description:"How long after its arrival an event is tried again. The default ends just before receivers of webhooks take an event for a replay."`
	First    settings.Duration `json:"first" jsonschema:"default=1s" jsonschema_description:"Wait before the second attempt; every further one is twice as long. A sink that says when to come back is obeyed instead."`
	Max      settings.Duration `json:"max" jsonschema:"default=1m" jsonschema_description:"Longest wait between two attempts."`
	InFlight int               `json:"in_flight" jsonschema:"default=1,minimum=1,maximum=256" jsonschema_description:"Events of one topic that may be under way at a time. 1 keeps them in order whatever the sink refuses. More is for sinks that put several events into one message, as a webhook with batch does."`
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Retry) UnmarshalJSON(data []byte) error {
	type plain Retry
	decoded, err := settings.Decode[plain](data)
	*r = Retry(decoded)
	return err
}

// check says what is wrong, with the key at fault; "" if nothing is.
func (r *Retry) check() (key, wrong string) {
	switch {
	case r.For <= 0:
		return "/for", "must be longer than 0: leave retry out to try every event once"
	case r.First <= 0:
		return "/first", "must be longer than 0"
	case r.Max < r.First:
		return "/max", fmt.Sprintf("is shorter than the first wait, %s", r.First.Std())
	}
	return "", ""
}

// Set are the expressions of an edge.
type Set struct {
	Space string            `json:"space,omitempty"`
	Topic string            `json:"topic,omitempty"`
	Name  string            `json:"name,omitempty"`
	Type  string            `json:"type,omitempty"`
	Data  string            `json:"data,omitempty"`
	Meta  map[string]string `json:"meta,omitempty"`
}

// Queue bounds what waits on an edge.
type Queue struct {
	Events int           `json:"events,omitempty" jsonschema:"minimum=1,maximum=1000000" jsonschema_description:"Events that may wait; 4096 if it is left out."`
	Bytes  settings.Size `json:"bytes,omitempty" jsonschema_description:"Bytes that may wait; 64MiB if it is left out."`
}

// OneOrMore is a list that a file may write as its only entry.
type OneOrMore[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *OneOrMore[T]) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]T)(l))
	}
	var one T
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	*l = OneOrMore[T]{one}
	return nil
}

// JSONSchema implements the schema reflection.
func (OneOrMore[T]) JSONSchema() *reflected.Schema {
	reflector := reflected.Reflector{
		Anonymous: true, DoNotReference: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true,
	}
	one := reflector.Reflect(new(T))
	one.Version = ""
	return &reflected.Schema{OneOf: []*reflected.Schema{one, {Type: "array", Items: one}}}
}

// RouteSchema is the JSON Schema of a route file, without the adapters' own
// configurations.
func RouteSchema() json.RawMessage { return routeSchema() }

// The schema of route files, made and compiled when the first is read.
var (
	routeSchema         = sync.OnceValue(settings.Schema[Route])
	compiledRouteSchema = sync.OnceValues(func() (*jsonschema.Schema, error) { return compile(routeSchema()) })
)

// name completes the names of the route's instances: those that the file leaves
// out become ROUTE.ADAPTER, numbered from the second on.
func (r *Route) name(route string) {
	taken := make(map[string]bool)
	each(r, func(i *Instance) { taken[i.Name] = true })
	each(r, func(i *Instance) {
		if i.Name != "" || i.Adapter == "" {
			return
		}
		i.Name = route + "." + i.Adapter
		for n := 2; taken[i.Name]; n++ {
			i.Name = fmt.Sprintf("%s.%s-%d", route, i.Adapter, n)
		}
		taken[i.Name] = true
	})
}

// each visits the route's instances in file order.
func each(r *Route, visit func(*Instance)) {
	for i := range r.Inbound {
		visit(&r.Inbound[i].Instance)
	}
	for i := range r.Outbound {
		visit(&r.Outbound[i].Instance)
	}
}
