package stream

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pushbridge/bridge/core"
)

// AppendReceipt appends a Receipt.
func AppendReceipt(b []byte, r *core.Receipt) []byte {
	b = appendStringField(b, 1, r.Sink)
	b = appendVarintField(b, 2, uint64(r.Event))
	b = appendStringField(b, 3, r.ID)
	b = appendVarintField(b, 4, protowire.EncodeZigZag(int64(r.Receivers)))
	if len(r.Detail) > 0 {
		b = appendMessage(b, 5, r.Detail)
	}
	if r.Err != nil {
		b = appendMessage(b, 6, appendRefusal(nil, r.Err))
	}
	return appendStringField(b, 7, r.EventID)
}

// ParseReceipt reads a Receipt. It keeps no part of b.
func ParseReceipt(b []byte) (core.Receipt, error) {
	var r core.Receipt
	err := eachField(b, func(number protowire.Number, value uint64, content []byte) (err error) {
		switch number {
		case 1:
			r.Sink = string(content)
		case 2:
			r.Event = int(value)
		case 3:
			r.ID = string(content)
		case 4:
			r.Receivers = int(protowire.DecodeZigZag(value))
		case 5:
			r.Detail = append([]byte(nil), content...)
		case 6:
			r.Err, err = parseRefusal(content)
		case 7:
			r.EventID = string(content)
		}
		return err
	})
	return r, err
}

func appendRefusal(b []byte, r *core.Refusal) []byte {
	b = appendStringField(b, 1, r.Code)
	b = appendStringField(b, 2, r.Message)
	b = appendVarintField(b, 3, protowire.EncodeBool(r.Retryable))
	b = appendVarintField(b, 4, uint64(max(r.After, 0)))
	return appendVarintField(b, 5, uint64(r.Outcome))
}

func parseRefusal(b []byte) (*core.Refusal, error) {
	r := &core.Refusal{}
	err := eachField(b, func(number protowire.Number, value uint64, content []byte) error {
		switch number {
		case 1:
			r.Code = string(content)
		case 2:
			r.Message = string(content)
		case 3:
			r.Retryable = value != 0
		case 4:
			r.After = max(time.Duration(value), 0)
		case 5:
			r.Outcome = core.Outcome(min(value, uint64(core.OutcomeUnknown)))
		}
		return nil
	})
	return r, err
}

// Silent reports whether a receipt says no more than "accepted".
func Silent(r *core.Receipt) bool {
	return r.Err == nil && r.ID == "" && r.Receivers == core.ReceiversUnknown && len(r.Detail) == 0
}

func appendStringField(b []byte, number protowire.Number, value string) []byte {
	if value == "" {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendString(b, value)
}
