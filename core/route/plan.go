package route

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/mapping"
	"github.com/pushbridge/bridge/core/registry"
)

// plan is what a file needs to run.
type plan struct {
	file  *config.RouteFile
	hosts []*hostPlan
	edges []edgePlan

	findings config.Findings
	blocked  bool // an address of another file's is among them
}

// names are the host's instances, for a message.
func (h *hostPlan) names() string {
	names := make([]string, len(h.members))
	for i, m := range h.members {
		names[i] = m.instance.Name
	}
	return strings.Join(names, ", ")
}

// hostPlan is one process, or the place of the instances without isolation.
type hostPlan struct {
	process    string // the name that the file gives it, if any
	executable registry.Executable
	stamp      string // changes when the executable is replaced
	inProcess  bool
	mtls       bool
	env        []string
	members    []*memberPlan
}

// memberPlan is one instance.
type memberPlan struct {
	path     string // in the file
	instance *config.Instance
	source   bool // stands in inbound
	sink     bool // stands in outbound
	config   json.RawMessage

	info      core.Info // known once the adapter has been asked
	addresses []core.Address
}

// edgePlan is one outbound.
type edgePlan struct {
	target  string
	options bus.EdgeOptions
	// written is what the file says about the edge, to tell whether it changed.
	written string
}

// newPlan groups a file's instances into processes and compiles its edges. It
// executes nothing.
func newPlan(file *config.RouteFile, r *registry.Registry) *plan {
	p := &plan{file: file}
	for n := range file.Route.Inbound {
		p.addMember(r, file.InboundPath(n), &file.Route.Inbound[n].Instance, true)
	}
	for n := range file.Route.Outbound {
		outbound := &file.Route.Outbound[n]
		path := file.OutboundPath(n)
		p.addMember(r, path, &outbound.Instance, false)
		p.addEdge(path, outbound)
	}
	return p
}

func (p *plan) addMember(r *registry.Registry, path string, i *config.Instance, source bool) {
	if i.Use != "" {
		return
	}
	member := &memberPlan{path: path, instance: i, source: source, sink: !source}
	var err error
	if member.config, err = i.ConfigJSON(); err != nil {
		p.fail(path+"/config", err)
		return
	}
	host, err := p.hostFor(r, i)
	if err != nil {
		p.fail(path+"/adapter", err)
		return
	}
	host.members = append(host.members, member)
}

// hostFor finds the process for an instance among those planned, or plans one.
func (p *plan) hostFor(r *registry.Registry, i *config.Instance) (*hostPlan, error) {
	if i.Isolation == "none" {
		if _, _, ok := r.BundledAdapter(i.Adapter); !ok {
			return nil, fmt.Errorf("isolation: none is for bundled adapters; %s is not one", i.Adapter)
		}
		return p.hostWhere(func(h *hostPlan) bool { return h.inProcess }, hostPlan{inProcess: true}), nil
	}
	executable, err := r.Find(i.Adapter, i.Plugin)
	if err != nil {
		return nil, err
	}
	if i.Process != "" {
		if executable, err = p.sharedExecutable(r, i, executable); err != nil {
			return nil, err
		}
	}
	host := p.hostWhere(func(h *hostPlan) bool {
		return !h.inProcess && h.process == i.Process && sameExecutable(h.executable, executable)
	}, hostPlan{process: i.Process, executable: executable, stamp: stampOf(executable)})
	host.mtls = host.mtls || i.MTLS
	for _, name := range i.Env {
		if !slices.Contains(host.env, name) {
			host.env = append(host.env, name)
		}
	}
	return host, nil
}

func (p *plan) hostWhere(match func(*hostPlan) bool, otherwise hostPlan) *hostPlan {
	for _, h := range p.hosts {
		if match(h) {
			return h
		}
	}
	p.hosts = append(p.hosts, &otherwise)
	return &otherwise
}

// sharedExecutable is the one executable that serves all instances of a process
// name: their common one, or the bridge itself if their adapters are bundled.
func (p *plan) sharedExecutable(r *registry.Registry, i *config.Instance, own registry.Executable) (registry.Executable, error) {
	var plugins []string
	same := true
	for _, other := range p.instances() {
		if other.Process != i.Process {
			continue
		}
		executable, err := r.Find(other.Adapter, other.Plugin)
		if err != nil {
			return own, err
		}
		same = same && sameExecutable(executable, own)
		plugin, _, bundled := r.BundledAdapter(other.Adapter)
		if !bundled {
			plugins = nil
			break
		}
		if !slices.Contains(plugins, plugin) {
			plugins = append(plugins, plugin)
		}
	}
	switch {
	case same:
		return own, nil
	case plugins == nil:
		return own, fmt.Errorf("process %q: its adapters come from different executables, so they cannot share a process", i.Process)
	}
	slices.Sort(plugins)
	return r.Bundled(plugins...), nil
}

func sameExecutable(a, b registry.Executable) bool {
	return a.Path == b.Path && slices.Equal(a.Args, b.Args)
}

// instances are the instances that the file configures, in file order.
func (p *plan) instances() []*config.Instance {
	var all []*config.Instance
	for n := range p.file.Route.Inbound {
		all = append(all, &p.file.Route.Inbound[n].Instance)
	}
	for n := range p.file.Route.Outbound {
		all = append(all, &p.file.Route.Outbound[n].Instance)
	}
	return slices.DeleteFunc(all, func(i *config.Instance) bool { return i.Use != "" })
}

// addEdge compiles an outbound's expressions and options.
func (p *plan) addEdge(path string, o *config.Outbound) {
	edge := edgePlan{target: o.Name, written: writtenEdge(o), options: bus.EdgeOptions{
		Route:       p.file.Name,
		QueueEvents: o.Queue.Events,
		QueueBytes:  int(o.Queue.Bytes),
	}}
	if o.Use != "" {
		edge.target = o.Use
	}
	if r := o.Retry; r != nil {
		edge.options.Retry = &bus.Retry{For: r.For.Std(), First: r.First.Std(), Max: r.Max.Std(), InFlight: r.InFlight}
	}
	for _, name := range o.Kinds {
		kind, err := core.ParseKind(name)
		if err != nil {
			p.fail(path+"/kinds", err)
		}
		edge.options.Kinds = append(edge.options.Kinds, kind)
	}
	switch o.Overflow {
	case "block":
		edge.options.Overflow = bus.OverflowBlock
	case "drop-oldest":
		edge.options.Overflow = bus.OverflowDropOldest
	}
	mapper, errs := mapping.Compile(mapping.Expressions{When: o.When, Set: mapping.Set{
		Space: o.Set.Space, Topic: o.Set.Topic, Name: o.Set.Name, Type: o.Set.Type, Data: o.Set.Data, Meta: o.Set.Meta,
	}})
	for _, e := range errs {
		p.fail(path+e.Path, errors.New(e.Message))
	}
	if mapper != nil {
		edge.options.Mapper = mapper
	}
	p.edges = append(p.edges, edge)
}

// busRoute is the plan for the bus's table.
func (p *plan) busRoute(edges []*bus.Edge) bus.Route {
	route := bus.Route{Name: p.file.Name, Edges: edges}
	if ack := p.file.Route.Ack; ack != "" {
		route.Ack, _ = core.ParseAck(ack) // the schema allows no other
	}
	for _, inbound := range p.file.Route.Inbound {
		route.Sources = append(route.Sources, cmp.Or(inbound.Use, inbound.Name))
	}
	return route
}

// ownSources are the names of the instances in inbound that the file configures;
// none of no plan.
func (p *plan) ownSources() []string {
	var names []string
	if p == nil {
		return nil
	}
	for _, inbound := range p.file.Route.Inbound {
		if inbound.Use == "" {
			names = append(names, inbound.Name)
		}
	}
	return names
}

// writtenEdge is an outbound without its instance.
func writtenEdge(o *config.Outbound) string {
	alone := *o
	alone.Instance = config.Instance{}
	text, err := json.Marshal(alone)
	if err != nil {
		return "" // strings and numbers always can be
	}
	return string(text)
}

func (p *plan) fail(path string, err error) {
	p.findings = append(p.findings, p.file.Locate(core.SeverityError, path, err.Error()))
}

// adapters is what can be asked about configurations: a process, or the adapters
// linked into this one.
type adapters interface {
	Describe(ctx context.Context) ([]core.Info, error)
	Validate(ctx context.Context, adapter string, config []byte) (core.Validation, error)
}

// ask holds the instances of a host against what their adapters say. The error is
// that they could not be asked within limit; what they find is among the plan's
// findings.
func (p *plan) ask(ctx context.Context, limit time.Duration, h *hostPlan, a adapters) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	infos, err := a.Describe(ctx)
	if err != nil {
		return err
	}
	for _, member := range h.members {
		if err := p.askMember(ctx, h, a, member, infos); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) askMember(ctx context.Context, h *hostPlan, a adapters, member *memberPlan, infos []core.Info) error {
	name := member.instance.Adapter
	at := slices.IndexFunc(infos, func(info core.Info) bool { return info.Name == name })
	if at < 0 {
		p.fail(member.path+"/adapter", fmt.Errorf("the plugin %s has no adapter %q; it has %s",
			h.executable, name, strings.Join(infoNames(infos), ", ")))
		return nil
	}
	member.info = infos[at]
	if member.source && !member.info.Source {
		p.fail(member.path+"/adapter", fmt.Errorf("%s is no source: it can only stand in outbound", name))
	}
	if member.sink && !member.info.Sink {
		p.fail(member.path+"/adapter", fmt.Errorf("%s is no sink: it can only stand in inbound", name))
	}
	broken, sound := p.file.CheckConfig(member.path, member.instance, member.info.Config)
	p.findings = append(p.findings, broken...)
	if sound == nil {
		return nil
	}
	validation, err := a.Validate(ctx, name, sound)
	if err != nil {
		return err
	}
	for _, f := range validation.Findings {
		finding := p.file.Locate(f.Severity, member.path+"/config"+f.Path, f.Message)
		known := slices.ContainsFunc(broken, func(b config.Finding) bool { return b.Path == finding.Path })
		if !known { // else the schema has said it
			p.findings = append(p.findings, finding)
		}
	}
	member.addresses = validation.Addresses
	return nil
}

func infoNames(infos []core.Info) []string {
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Name
	}
	return names
}
