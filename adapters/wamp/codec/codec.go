package codec

import (
	"encoding/base64"
	"reflect"
	"sync"

	"github.com/ugorji/go/codec"
)

// Codec is one serialization. Its methods may be called from any goroutine.
type Codec struct {
	name     string
	binary   bool
	handle   codec.Handle
	decode   func(data []byte) (any, error)
	encoders sync.Pool // of *codec.Encoder
}

// Name is the serialization's name: json, msgpack or cbor.
func (c *Codec) Name() string { return c.name }

// Subprotocol is the WebSocket subprotocol that stands for it.
func (c *Codec) Subprotocol() string { return "wamp.2." + c.name }

// Binary reports whether messages travel in binary frames, else in text frames.
func (c *Codec) Binary() bool { return c.binary }

// Names are the names of all serializations, in the order of preference that
// configurations default to.
func Names() []string { return []string{"json", "msgpack", "cbor"} }

// Named returns the serialization of that name, or nil. Each name has one
// Codec, so they can be compared.
func Named(name string) *Codec {
	switch name {
	case "json":
		return jsonCodec
	case "msgpack":
		return msgpackCodec
	case "cbor":
		return cborCodec
	}
	return nil
}

// The codecs are made once and never change: building a handle's type tables is
// what makes them slow to make.
var (
	jsonCodec    = newCodec("json", false, jsonHandle(), decodeJSON)
	msgpackCodec = newBinary("msgpack", msgpackHandle())
	cborCodec    = newBinary("cbor", cborHandle())
)

func newCodec(name string, binary bool, handle codec.Handle, decode func([]byte) (any, error)) *Codec {
	c := &Codec{name: name, binary: binary, handle: handle, decode: decode}
	c.encoders.New = func() any { return codec.NewEncoderBytes(new([]byte), handle) }
	return c
}

func newBinary(name string, handle codec.Handle) *Codec {
	return newCodec(name, true, handle, func(data []byte) (any, error) { return decodeBinary(handle, data) })
}

// anyMap is what maps are decoded to.
var anyMap = reflect.TypeFor[map[string]any]()

func jsonHandle() *codec.JsonHandle {
	handle := &codec.JsonHandle{HTMLCharsAsIs: true, RawBytesExt: markedBytes{}}
	handle.MapType = anyMap
	return handle
}

func msgpackHandle() *codec.MsgpackHandle {
	handle := &codec.MsgpackHandle{}
	handle.WriteExt = true // the MessagePack of today, which tells strings from bytes
	handle.MapType = anyMap
	return handle
}

func cborHandle() *codec.CborHandle {
	handle := &codec.CborHandle{}
	handle.MapType = anyMap
	return handle
}

// binaryMark begins a JSON string that stands for bytes.
const binaryMark = "\x00"

// markedBytes writes []byte in JSON.
type markedBytes struct{}

// ConvertExt implements codec.InterfaceExt.
func (markedBytes) ConvertExt(value any) any {
	bytes, _ := value.([]byte)
	return binaryMark + base64.StdEncoding.EncodeToString(bytes)
}

// UpdateExt implements codec.InterfaceExt. Nothing here decodes into []byte.
func (markedBytes) UpdateExt(any, any) {}
