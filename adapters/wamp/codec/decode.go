package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ugorji/go/codec"

	"github.com/gammazero/nexus/v3/wamp"
)

// Decode reads one message. Every error is a violation of the protocol by the
// sender; its text is fit for the sender's eyes.
//
// Values in the message are nil, bool, int64, uint64, float64, string, []byte,
// time.Time, []any and map[string]any. Integers that fit neither 64-bit type
// are float64.
func (c *Codec) Decode(data []byte) (wamp.Message, error) {
	value, err := c.decode(data)
	if err != nil {
		return nil, fmt.Errorf("message is no %s: %w", c.name, err)
	}
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New("message is no array")
	}
	return message(list)
}

// decodeJSON uses the standard library: of the JSON readers at hand it alone
// refuses everything that is no JSON.
func decodeJSON(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("invalid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something stands behind the message")
	}
	return fromJSON(value)
}

// fromJSON gives numbers a Go type and turns marked strings into bytes.
func fromJSON(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case json.Number:
		return number(string(v))
	case string:
		if encoded, marked := strings.CutPrefix(v, binaryMark); marked {
			if binary, err := base64.StdEncoding.DecodeString(encoded); err == nil {
				return binary, nil
			}
		}
	case []any:
		for i := range v {
			if v[i], err = fromJSON(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if v[key], err = fromJSON(v[key]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func number(text string) (any, error) {
	if !strings.ContainsAny(text, ".eE") && text != "-0" {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return n, nil
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("number %s is out of range", text)
	}
	return n, nil
}

func decodeBinary(handle codec.Handle, data []byte) (any, error) {
	decoder := codec.NewDecoderBytes(data, handle)
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if decoder.NumBytesRead() != len(data) {
		return nil, errors.New("something stands behind the message")
	}
	return fromBinary(value)
}

// fromBinary refuses values that the other serializations cannot hold, and
// makes all non-negative integers that fit int64, as JSON does.
func fromBinary(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case nil, bool, int64, float64, string, []byte, time.Time:
		return v, nil
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v), nil
		}
		return v, nil
	case []any:
		for i := range v {
			if v[i], err = fromBinary(v[i]); err != nil {
				return nil, err
			}
		}
		return v, nil
	case map[string]any:
		for key := range v {
			if v[key], err = fromBinary(v[key]); err != nil {
				return nil, err
			}
		}
		return v, nil
	}
	return nil, errors.New("it holds an extension type")
}
