package stream

import (
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Limits of the streams, counted at both ends.
const (
	// MaxMessageBytes bounds one gRPC message in either direction: the largest
	// event, or publication, and what surrounds it.
	MaxMessageBytes = 16<<20 + 256<<10

	// DeliverEvents and DeliverBytes are the window of events that an instance
	// has not answered. One larger event passes alone.
	DeliverEvents = 4096
	DeliverBytes  = 4 << 20

	// PublishItems and PublishBytes are the window of publications without a
	// result. One larger publication passes alone.
	PublishItems = 8192
	PublishBytes = 4 << 20

	// batchEntries and batchBytes close a message that is being filled.
	batchEntries = 256
	batchBytes   = 128 << 10
)

// InstanceKey is the metadata key in which a stream names its instance.
const InstanceKey = "bridge-instance"

// Message is one stream message as bytes.
type Message struct {
	// Bytes holds a received message; the receiver owns it. What it holds before
	// is overwritten by the next message that is received into it.
	Bytes []byte

	outgoing *[]byte // to send; goes back to its pool once written
	pool     *Buffers
}

// Buffers keeps the buffers of messages to send. gRPC's own pool has sizes that
// fit our messages badly and clears what it hands out.
type Buffers struct{ pool sync.Pool }

// pooledBytes is what a pooled buffer holds; a larger message gets its own.
const pooledBytes = batchBytes + 16<<10

// message makes a message of a buffer that Get returned. It may be sent once.
func (p *Buffers) message(buffer *[]byte) *Message {
	return &Message{outgoing: buffer, pool: p}
}

// Get implements mem.BufferPool.
func (p *Buffers) Get(size int) *[]byte {
	if size <= pooledBytes {
		if buffer, ok := p.pool.Get().(*[]byte); ok {
			*buffer = (*buffer)[:size]
			return buffer
		}
	}
	buffer := make([]byte, max(size, pooledBytes))[:size]
	return &buffer
}

// Put implements mem.BufferPool: gRPC calls it when the message is written.
func (p *Buffers) Put(buffer *[]byte) {
	if cap(*buffer) == pooledBytes {
		p.pool.Put(buffer)
	}
}

// codec passes a [*Message] through as bytes and leaves every other type to
// protobuf. It calls itself proto, because on the wire it is.
type codec struct{ proto encoding.CodecV2 }

// Codec returns the codec that both ends force: the client by CallOption, the
// server by ServerOption.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(proto.Name)} }

func (c codec) Name() string { return c.proto.Name() }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.(*Message)
	if !ok {
		return c.proto.Marshal(v)
	}
	if message.outgoing == nil {
		return nil, fmt.Errorf("stream: message sent twice, or never filled")
	}
	buffer := mem.NewBuffer(message.outgoing, message.pool)
	message.outgoing = nil
	return mem.BufferSlice{buffer}, nil
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	message, ok := v.(*Message)
	if !ok {
		return c.proto.Unmarshal(data, v)
	}
	if cap(message.Bytes) < data.Len() {
		message.Bytes = join(data)
		return nil
	}
	message.Bytes = message.Bytes[:0]
	for _, buffer := range data {
		message.Bytes = append(message.Bytes, buffer.ReadOnlyData()...)
	}
	return nil
}

// join copies the buffers into one. A strings.Builder does not clear the memory
// that is about to be overwritten, as make does; it shows at the rates of a
// stream. Nobody else holds the text, so its bytes may be written to.
func join(data mem.BufferSlice) []byte {
	var b strings.Builder
	b.Grow(data.Len())
	for _, buffer := range data {
		b.Write(buffer.ReadOnlyData())
	}
	text := b.String()
	return unsafe.Slice(unsafe.StringData(text), len(text))
}

// Windows wide enough that a full window of events never waits for HTTP/2 flow
// control; the streams count for themselves.
const (
	http2Window  = 8 << 20
	socketBuffer = 128 << 10
)

// ClientOptions are the options with which either side dials the other.
func ClientOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(Codec()),
			grpc.MaxCallRecvMsgSize(MaxMessageBytes),
			grpc.MaxCallSendMsgSize(MaxMessageBytes),
		),
		grpc.WithInitialWindowSize(http2Window),
		grpc.WithInitialConnWindowSize(http2Window),
		grpc.WithReadBufferSize(socketBuffer),
		grpc.WithWriteBufferSize(socketBuffer),
	}
}

// ServerOptions are the options with which either side serves.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(Codec()),
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.InitialWindowSize(http2Window),
		grpc.InitialConnWindowSize(http2Window),
		grpc.ReadBufferSize(socketBuffer),
		grpc.WriteBufferSize(socketBuffer),
	}
}
