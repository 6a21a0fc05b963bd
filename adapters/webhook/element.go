package webhook

import (
	"bytes"
	"encoding/json"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/payload"
)

// Codes of refusals that are this adapter's own.
const (
	codeKind    = "kind_unsupported"  // the form has nothing for such an event
	codeNoKey   = "no_key"            // nobody could sign it
	codeStatus  = "http_status"       // the receiver answered with another status than 2xx
	codeNetwork = "unreachable"       // there was no answer
	codeAddress = "forbidden_address" // private_addresses is false, and it is one
)

// Names of elements.
const (
	channelOccupied   = "channel_occupied"
	channelVacated    = "channel_vacated"
	memberAdded       = "member_added"
	memberRemoved     = "member_removed"
	clientEvent       = "client_event"
	cacheMiss         = "cache_miss"
	subscriptionCount = "subscription_count"
)

// Meta of client events, as the adapter pusher-socket sets it.
const (
	metaSocket = "pusher.socket_id"
	metaUser   = "pusher.user_id"
)

// element is what one event becomes in the body. The order of the members is that
// of Pusher's own bodies.
type element struct {
	Name     string  `json:"name"`
	Channel  string  `json:"channel"`
	Event    string  `json:"event,omitempty"`
	Data     *string `json:"data,omitempty"`
	SocketID string  `json:"socket_id,omitempty"`
	UserID   string  `json:"user_id,omitempty"`
	Count    *int64  `json:"subscription_count,omitempty"`
}

// prepared is an event that is to be posted.
type prepared struct {
	space string
	time  int64 // of the event, in milliseconds
	json  []byte
}

// prepare makes an element of an event. The receipt holds if it is not to be
// posted: it is refused, or not wanted.
func (l *live) prepare(event *core.Event) (p prepared, receipt core.Receipt, post bool) {
	e, refusal := newElement(event)
	if refusal == nil {
		_, refusal = l.signers.of(event.Space)
	}
	if refusal != nil {
		return p, refused(refusal), false
	}
	if !l.wanted.has(e.Name, e.Channel) {
		return p, core.Receipt{}, false
	}
	p = prepared{space: event.Space, json: marshal(e)}
	if !event.Time.IsZero() {
		p.time = event.Time.UnixMilli()
	}
	return p, core.Receipt{}, true
}

// newElement is what an event becomes, whoever wants it.
func newElement(event *core.Event) (element, *core.Refusal) {
	e := element{Channel: event.Topic}
	switch {
	case event.Kind == core.KindMessage:
		return e, core.Refuse(codeKind, "Pusher's webhooks have no form for messages: write kinds: [client, happening] on the edge")
	case len(event.Only) > 0:
		return e, core.Refuse(core.CodeAudienceUnsupported, "a webhook cannot be limited to an audience")
	case event.Direct || event.Topic == "":
		return e, core.Refuse(core.CodeNoTopic, "Pusher's webhooks are about channels, and the event has none")
	case event.Kind == core.KindClient:
		return clientElement(e, event)
	}
	return happeningElement(e, event)
}

func clientElement(e element, event *core.Event) (element, *core.Refusal) {
	data, err := payload.Text(event)
	if err != nil {
		return e, core.AsRefusal(err)
	}
	e.Name, e.Event, e.Data = clientEvent, event.Name, &data
	e.SocketID, e.UserID = event.Meta[metaSocket], event.Meta[metaUser]
	return e, nil
}

func happeningElement(e element, event *core.Event) (element, *core.Refusal) {
	e.Name = event.Name
	var data struct {
		UserID json.RawMessage `json:"user_id"`
		Count  *int64          `json:"subscription_count"`
	}
	switch event.Name {
	case channelOccupied, channelVacated, cacheMiss:
		return e, nil
	case memberAdded, memberRemoved, subscriptionCount:
		if err := json.Unmarshal(event.Data, &data); err != nil {
			return e, core.Refuse(core.CodePayload, "the data of %s: %v", event.Name, err)
		}
	default:
		return e, core.Refuse(codeKind, "Pusher's webhooks have nothing called %q", event.Name)
	}
	if event.Name == subscriptionCount {
		if e.Count = data.Count; e.Count == nil {
			return e, core.Refuse(core.CodePayload, "the data of %s has no subscription_count", event.Name)
		}
		return e, nil
	}
	if e.UserID = scalarText(data.UserID); e.UserID == "" {
		return e, core.Refuse(core.CodePayload, "the data of %s has no user_id", event.Name)
	}
	return e, nil
}

// scalarText is the text of a JSON string or number, "" of anything else.
func scalarText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(value, &number) == nil {
		return number.String()
	}
	return ""
}

// marshal is JSON without the escapes of HTML.
func marshal(e element) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(e) // texts and a number are always JSON
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func refused(refusal *core.Refusal) core.Receipt {
	return core.Receipt{Receivers: core.ReceiversUnknown, Err: refusal}
}
