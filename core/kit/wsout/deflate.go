package wsout

import (
	"bytes"
	"compress/flate"
	"sync"
)

// minDeflate is the shortest payload that is worth compressing.
const minDeflate = 256

// deflated is the frame compressed by RFC 7692, by itself: without a window that
// reaches back to earlier messages it is the same for every connection, so it is
// made once, when the first one wants it. A short one stays as it is, which the
// extension allows per message.
func (f *Frame) deflated() []byte {
	f.pack.Do(func() {
		first, payload := headerOf(f.plain)
		f.packed = f.plain
		if len(payload) < minDeflate {
			return
		}
		var out bytes.Buffer
		writer := deflaters.Get().(*flate.Writer)
		defer deflaters.Put(writer)
		writer.Reset(&out)
		_, _ = writer.Write(payload) // a buffer takes everything
		_ = writer.Flush()
		data := bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff}) // RFC 7692 section 7.2.1
		if len(data) < len(payload) {
			f.packed = append(appendHeader(nil, first|rsv1, len(data)), data...)
		}
	})
	return f.packed
}

// deflaters are large, 1.2 MB each, so they are kept.
var deflaters = sync.Pool{New: func() any {
	writer, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for unknown levels only
	return writer
}}
