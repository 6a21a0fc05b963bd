package coretest

import (
	"context"
	"encoding/json"
	"net"
	"regexp"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
)

// Subject is an adapter with what the suite must know to try it.
type Subject struct {
	Adapter core.Adapter

	// Config returns a configuration that works, listening on the given free
	// address. An adapter that does not listen ignores it.
	Config func(listen string) string

	// Emit makes a started source publish at least one event, and waits for its
	// protocol's answer if it has one. Nil for a sink.
	Emit func(t testing.TB, listen string)

	// Event is one that the sink accepts with that configuration, whether or
	// not it has listeners. The suite varies topic and data. Zero for a source.
	Event core.Event

	// Call is one that the adapter answers with that configuration; the zero
	// Call if it answers none.
	Call core.Call
}

// patience bounds what the suite waits for; it decides nothing else.
const patience = 20 * time.Second

// Run runs the suite in process and through a child process. The test binary
// must call [Main].
func Run(t *testing.T, s Subject) {
	t.Run("offline", s.offline)
	for _, place := range []struct {
		name string
		open opener
	}{{"in process", openInProcess}, {"in a child", openInChild}} {
		t.Run(place.name, func(t *testing.T) {
			s := suite{Subject: s, open: place.open}
			t.Run("life", s.life)
			t.Run("stop without start", s.stopWithoutStart)
			t.Run("address taken", s.addressTaken)
			if s.Adapter.Describe().Source {
				t.Run("emits", s.emits)
				t.Run("emits into a bus that refuses", s.emitsRefused)
			}
			if s.Adapter.Describe().Sink {
				t.Run("answers every event once", s.answersEach)
				t.Run("refuses an audience it cannot evaluate", s.refusesUnknownAudience)
				t.Run("stop under load", s.stopUnderLoad)
			}
			if s.Call.Op != "" {
				t.Run("answers calls", s.answersCalls)
			}
		})
	}
}

type suite struct {
	Subject
	open opener
}

var adapterName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// offline checks Describe and Validate.
func (s Subject) offline(t *testing.T) {
	info := s.Adapter.Describe()
	if !adapterName.MatchString(info.Name) {
		t.Errorf("name %q: want lower-case letters, digits and dashes", info.Name)
	}
	if info.Summary == "" || info.Version == "" {
		t.Error("summary and version must be given")
	}
	if !info.Source && !info.Sink {
		t.Error("neither source nor sink")
	}
	schema := compileSchema(t, info.Config)
	config := s.Config("127.0.0.1:1")
	var value any
	if err := json.Unmarshal([]byte(config), &value); err != nil {
		t.Fatalf("the subject's configuration: %v", err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("the configuration does not fit the schema: %v", err)
	}
	if object, ok := value.(map[string]any); ok {
		object["no_such_key"] = true
		if schema.Validate(object) == nil {
			t.Error("the schema accepts an unknown key")
		}
	}
	if v := s.Adapter.Validate(json.RawMessage(config)); v.Failed() {
		t.Errorf("Validate refuses the configuration: %v", v.Findings)
	}
}

func compileSchema(t *testing.T, schema json.RawMessage) *jsonschema.Schema {
	t.Helper()
	var document any
	if err := json.Unmarshal(schema, &document); err != nil {
		t.Fatalf("schema: %v", err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("config.json", document); err != nil {
		t.Fatalf("schema: %v", err)
	}
	compiled, err := compiler.Compile("config.json")
	if err != nil {
		t.Fatalf("schema: %v", err)
	}
	return compiled
}

// life opens, starts, checks and stops an instance twice on one address.
func (s suite) life(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx := testContext(t)
	listen := freeAddress(t)
	for range 2 {
		place := s.open(t, s.Adapter, s.Config(listen))
		if s.listens() && connects(listen) {
			t.Error("it listens before Start")
		}
		if err := place.instance.Start(ctx); err != nil {
			t.Fatalf("start: %v", err)
		}
		if s.listens() && !connects(listen) {
			t.Error("Start returned and nothing listens")
		}
		if err := place.instance.Check(ctx); err != nil {
			t.Errorf("check: %v", err)
		}
		for range 2 {
			if err := place.instance.Stop(ctx); err != nil && place.inProcess {
				t.Errorf("stop: %v", err)
			}
		}
		if s.listens() && connects(listen) {
			t.Error("it listens after Stop")
		}
		place.close()
	}
}

func (s suite) listens() bool {
	return len(s.Adapter.Validate(json.RawMessage(s.Config("127.0.0.1:1"))).Addresses) > 0
}

func (s suite) stopWithoutStart(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	place := s.open(t, s.Adapter, s.Config(freeAddress(t)))
	defer place.close()
	if err := place.instance.Stop(testContext(t)); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// addressTaken wants an error from Start, not a hang and not a success.
func (s suite) addressTaken(t *testing.T) {
	if !s.listens() {
		t.Skip("the adapter does not listen")
	}
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	place := s.open(t, s.Adapter, s.Config(taken.Addr().String()))
	defer place.close()
	if err := place.instance.Start(testContext(t)); err == nil {
		t.Error("Start succeeded on an address that another program holds")
	}
	if err := place.instance.Stop(testContext(t)); err != nil {
		t.Errorf("stop after a failed start: %v", err)
	}
}

// emits lets a source publish to a capturing sink.
func (s suite) emits(t *testing.T) {
	ctx := testContext(t)
	listen := freeAddress(t)
	place := s.open(t, s.Adapter, s.Config(listen))
	defer place.close()
	received := place.capture(t, nil)
	if err := place.instance.Start(ctx); err != nil {
		t.Fatal(err)
	}
	s.Emit(t, listen)
	select {
	case event := <-received:
		if event.ID == "" || event.Source != instanceName {
			t.Errorf("event without id or source: %+v", event)
		}
		if !event.Direct && event.Topic == "" && event.Name == "" {
			t.Errorf("event without address: %+v", event)
		}
	case <-ctx.Done():
		t.Fatal("no event arrived")
	}
	if err := place.instance.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// emitsRefused lets a source publish to a sink that refuses everything: it must
// neither hang nor fail.
func (s suite) emitsRefused(t *testing.T) {
	ctx := testContext(t)
	listen := freeAddress(t)
	place := s.open(t, s.Adapter, s.Config(listen))
	defer place.close()
	received := place.capture(t, core.RefuseRetry(core.CodeQueueFull, time.Second, "the test refuses"))
	if err := place.instance.Start(ctx); err != nil {
		t.Fatal(err)
	}
	s.Emit(t, listen)
	select {
	case <-received:
	case <-ctx.Done():
		t.Fatal("no event arrived")
	}
	if err := place.instance.Check(ctx); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := place.instance.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// answersEach delivers many events of every shape and wants one answer each.
func (s suite) answersEach(t *testing.T) {
	ctx := testContext(t)
	place := s.open(t, s.Adapter, s.Config(freeAddress(t)))
	defer place.close()
	if err := place.instance.Start(ctx); err != nil {
		t.Fatal(err)
	}
	for _, event := range s.variants() {
		receipt, err := place.publish(ctx, event)
		if err != nil && receipt == nil {
			t.Errorf("%+v: %v", event, err)
		}
	}
	receipt, err := place.publish(ctx, s.Event)
	if err != nil {
		t.Errorf("the subject's event was refused: %v (%+v)", err, receipt)
	}
	if s.Adapter.Describe().IssuesIDs && (receipt == nil || receipt.ID == "") {
		t.Errorf("the adapter issues ids, but the receipt has none: %+v", receipt)
	}
	if err := place.instance.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// variants are events that a sink must accept or refuse, never drop.
func (s suite) variants() []core.Event {
	var variants []core.Event
	for _, data := range []struct{ kind, data string }{
		{core.TypeJSON, `{"a":[1,2.5,null,"ü"]}`}, {core.TypeJSON, `{"broken`}, {core.TypeText, "text"},
		{core.TypeBin, "\x00\xff"}, {core.TypeWAMP, `{"args":[1],"kwargs":{}}`}, {core.TypeWAMP, `[]`}, {"", ""},
	} {
		e := s.Event
		e.Type, e.Data = data.kind, []byte(data.data)
		variants = append(variants, e)
	}
	for _, change := range []func(*core.Event){
		func(e *core.Event) { e.Topic = "" },
		func(e *core.Event) { e.Topic = "with blank, comma\nand \x00" },
		func(e *core.Event) { e.Topic, e.Direct, e.Only = "", true, core.Audience{core.AudienceUser: {"42"}} },
		func(e *core.Event) { e.Name = "name" },
		func(e *core.Event) { e.Space = "no-such-space" },
		func(e *core.Event) { e.Kind = core.KindHappening },
		func(e *core.Event) { e.Only = core.Audience{core.AudienceUser: {}} },
		func(e *core.Event) { e.Except = core.Audience{core.AudienceSocket: {"1.1"}} },
		func(e *core.Event) { e.Data = make([]byte, 3<<20) },
	} {
		e := s.Event
		change(&e)
		variants = append(variants, e)
	}
	return variants
}

func (s suite) refusesUnknownAudience(t *testing.T) {
	ctx := testContext(t)
	place := s.open(t, s.Adapter, s.Config(freeAddress(t)))
	defer place.close()
	if err := place.instance.Start(ctx); err != nil {
		t.Fatal(err)
	}
	event := s.Event
	event.Only = core.Audience{"no-such-kind": {"1"}}
	receipt, _ := place.publish(ctx, event)
	if receipt == nil || receipt.Err == nil || receipt.Err.Code != core.CodeAudienceUnsupported {
		t.Errorf("receipt %+v, want code %s", receipt, core.CodeAudienceUnsupported)
	}
	if err := place.instance.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// stopUnderLoad stops while events pour in: each is answered, nothing is left.
func (s suite) stopUnderLoad(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx := testContext(t)
	place := s.open(t, s.Adapter, s.Config(freeAddress(t)))
	defer place.close()
	if err := place.instance.Start(ctx); err != nil {
		t.Fatal(err)
	}
	const events = 2000
	answered := place.flood(s.Event, events)
	if err := place.instance.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
	place.bus.Target(instanceName).Refuse(core.Refuse(core.CodeNotRunning, "stopped"))
	for range events {
		select {
		case <-answered:
		case <-ctx.Done():
			t.Fatal("events are left without an answer")
		}
	}
}

func (s suite) answersCalls(t *testing.T) {
	ctx := testContext(t)
	place := s.open(t, s.Adapter, s.Config(freeAddress(t)))
	defer place.close()
	if err := place.instance.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if answer := place.instance.Answer(ctx, s.Call); answer.None || answer.Err != nil {
		t.Errorf("answer to %+v: %+v", s.Call, answer)
	}
	if answer := place.instance.Answer(ctx, core.Call{Op: "no.such.op"}); !answer.None && answer.Err == nil {
		t.Errorf("answer to an unknown op: %+v", answer)
	}
	if err := place.instance.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func connects(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

var _ bus.Sink = (*captureSink)(nil)
