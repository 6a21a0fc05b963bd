package crossbar

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// TestChecks goes through the protocol's table of checks. The rows that have to
// do with signatures and bodies are in the vectors.
func TestChecks(t *testing.T) {
	const badType = "Non-accepted content type. (must be one of 'application/json', not '%s')"
	const badCharset = "Non-accepted request encoding, must be UTF-8."
	for _, test := range []struct {
		name     string
		config   string
		request  request
		chunked  string // the body, sent without its length
		query    string
		status   int // 0: accepted
		semantic int // 0: as status
		code     string
		text     string
	}{
		{name: "GET", request: request{method: "GET"}, status: 405, code: "AR405", text: "Method not accepted by the REST bridge. (GET not allowed, only POST, PUT)"},
		{name: "DELETE", request: request{method: "DELETE"}, status: 405, code: "AR405", text: "Method not accepted by the REST bridge. (DELETE not allowed, only POST, PUT)"},
		{name: "odd method", request: request{method: "BREW"}, status: 405, code: "AR405", text: "Method not accepted by the REST bridge. (BREW not allowed, only POST, PUT)"},
		{name: "PUT", request: request{method: "PUT"}},

		{name: "no type", request: request{header: http.Header{"Content-Type": nil}}},
		{name: "other case", request: request{header: typed("APPLICATION/Json")}},
		{name: "parameters", request: request{header: typed("application/json; profile=x; v=1")}},
		{name: "semicolon", request: request{header: typed("application/json;")}},
		{name: "utf8", request: request{header: typed("application/json;charset=UTF8")}},
		{name: "quoted charset", request: request{header: typed(`application/json; Charset="Utf-8"`)}},
		{name: "text", request: request{header: typed("text/plain")}, status: 400, semantic: 415, code: "AR452", text: fmt.Sprintf(badType, "text/plain")},
		{name: "form", request: request{header: typed("application/x-www-form-urlencoded")}, status: 400, semantic: 415, code: "AR452", text: fmt.Sprintf(badType, "application/x-www-form-urlencoded")},
		{name: "empty type", request: request{header: typed("")}, status: 400, semantic: 415, code: "AR452", text: fmt.Sprintf(badType, "")},
		{name: "subtype", request: request{header: typed("application/json+x")}, status: 400, semantic: 415, code: "AR452"},
		{name: "two types", request: request{header: http.Header{"Content-Type": {"application/json", "application/json"}}}, status: 400, code: "AR463", text: "Multiple versions of the same header is not allowed."},
		{name: "latin", request: request{header: typed("application/json; charset=latin1")}, status: 400, semantic: 415, code: "AR450", text: badCharset},
		{name: "bare charset", request: request{header: typed("application/json; charset")}, status: 400, semantic: 415, code: "AR450", text: badCharset},
		{name: "charset twice", request: request{header: typed("application/json; charset=utf-8; charset=utf-8")}, status: 400, semantic: 415, code: "AR450", text: badCharset},
		{name: "parameter twice", request: request{header: typed("application/json; a=1; A=2")}, status: 400, semantic: 415, code: "AR450", text: badCharset},
		{name: "two equals signs", request: request{header: typed("application/json; a=1=2")}, status: 400, semantic: 415, code: "AR450", text: badCharset},
		{name: "lenient text", config: `{"lenient_content_type":true}`, request: request{header: typed("text/plain")}},
		{name: "lenient form", config: `{"lenient_content_type":true}`, request: request{header: typed("application/x-www-form-urlencoded")}},
		{name: "lenient charset", config: `{"lenient_content_type":true}`, request: request{header: typed("text/plain; charset=latin1")}, status: 400, semantic: 415, code: "AR450"},
		{name: "gzip", request: request{header: http.Header{"Content-Encoding": {"gzip"}}}, status: 415, code: "content_encoding"},
		{name: "two encodings", request: request{header: http.Header{"Content-Encoding": {"identity", "br"}}}, status: 415, code: "content_encoding"},
		{name: "identity", request: request{header: http.Header{"Content-Encoding": {"Identity"}}}},

		{name: "wrong address", config: `{"require_ip":["10.0.0.0/8"]}`, status: 400, semantic: 403, code: "AR466", text: "Request denied based on IP address."},
		{name: "right address", config: `{"require_ip":["10.0.0.0/8","127.0.0.1"]}`},
		{name: "no TLS", config: `{"require_tls":true}`, status: 400, semantic: 403, code: "AR400", text: "Malformed request to the REST bridge."},

		{name: "expired", query: "timestamp=2015-03-24T15:33:12.588Z", status: 400, semantic: 401, code: "AR464", text: "Request expired, too old timestamp."},
		{name: "from the future", query: "timestamp=2015-03-24T15:43:12.590Z", status: 400, semantic: 401, code: "AR464", text: "Request expired, too old timestamp."},
		{name: "empty timestamp", query: "timestamp=", status: 400, code: "AR462"},
		{name: "empty seq", query: "seq=", status: 400, code: "AR462", text: "REST bridge signature was invalid (invalid sequence number '' (must be an integer))."},
		{name: "seq of other digits", query: "seq=%D9%A3", status: 400, code: "AR462", text: "REST bridge signature was invalid (invalid sequence number '٣' (must be an integer))."},
		{name: "seq that is no UTF-8", query: "seq=%ff", status: 400, code: "AR462", text: "REST bridge signature was invalid (invalid sequence number '\ufffd' (must be an integer))."},
		{name: "nonce with underscore", query: "nonce=4_2", status: 400, code: "AR462", text: "REST bridge signature was invalid (invalid nonce '4_2' (must be an integer))."},
		{name: "broken escape", query: "nonce=%zz", status: 400, code: "AR462"},
		{name: "broken escape elsewhere", query: "_=%zz&x;y=1"},
		{name: "first of two", query: "seq=1&seq=x"},
		{name: "broken key of an unsigned endpoint", query: "key=%zz&signature=%"},
		{name: "broken key", config: signing, query: "key=%zz&timestamp=" + vectorTime + "&seq=1&nonce=1&signature=AA", status: 400, code: "AR462"},
		{name: "broken signature", config: signing, query: "key=foobar&timestamp=" + vectorTime + "&seq=1&nonce=1&signature=%A", status: 400, code: "AR462"},
		{name: "key of other letters", config: signing, query: "key=%C3%BC&timestamp=" + vectorTime + "&seq=1&nonce=1&signature=AA", status: 401, code: "AR460", text: "REST bridge signature key not valid."},
		{name: "unsigned", config: signing, status: 400, code: "AR461"},

		{name: "limit", config: fmt.Sprintf(`{"post_body_limit":%d}`, len(hello))},
		{name: "over the limit", config: fmt.Sprintf(`{"post_body_limit":%d}`, len(hello)-1), status: 413, code: "AR413",
			text: fmt.Sprintf("Request too long. (%d is longer than accepted %d)", len(hello), len(hello)-1)},
		{name: "chunked", config: fmt.Sprintf(`{"post_body_limit":%d}`, len(hello)), chunked: hello},
		{name: "chunked over the limit", config: fmt.Sprintf(`{"post_body_limit":%d}`, len(hello)-1), chunked: hello + "   ", status: 413, code: "AR413",
			text: fmt.Sprintf("Request too long. (%d is longer than accepted %d)", len(hello), len(hello)-1)},
		{name: "bridge's limit", config: `{"limits":{"max_body":10}}`, status: 413, code: "AR413", text: fmt.Sprintf("Request too long. (%d is longer than accepted 10)", len(hello))},
		{name: "no limit of the endpoint", config: `{"post_body_limit":0,"limits":{"max_body":100}}`},
	} {
		for _, mode := range []string{"compat", "semantic"} {
			t.Run(test.name+"/"+mode, func(t *testing.T) {
				config := test.config
				if config == "" {
					config = `{}`
				}
				r := start(t, nil, config, `{"error_status":"`+mode+`"}`)
				q := test.request
				q.url = r.url(test.query)
				q.body = []byte(hello)
				if test.chunked != "" {
					q.reader = io.MultiReader(strings.NewReader(test.chunked))
				}
				got := send(t, r.client, q)
				if test.status == 0 {
					got.id(t, 202)
					r.published(1)
					return
				}
				status := test.status
				if mode == "semantic" && test.semantic != 0 {
					status = test.semantic
				}
				if text := got.fault(t, status).Error; test.text != "" && text != test.text {
					t.Errorf("error %q, want %q", text, test.text)
				}
				if want := status == 413; got.close != want {
					t.Errorf("connection closed: %v", got.close)
				}
				r.published(0)
				if r.metric("bridge_crossbar_requests_total", "code", test.code, "status", fmt.Sprint(status), "endpoint", "/push") != 1 {
					t.Errorf("not counted as %s", test.code)
				}
				if !strings.Contains(r.host.logged(), "code="+test.code) {
					t.Errorf("not logged as %s", test.code)
				}
			})
		}
	}
}

func typed(contentType string) http.Header { return http.Header{"Content-Type": {contentType}} }

func TestHEADAndAllow(t *testing.T) {
	r := start(t, nil)
	got := send(t, r.client, request{method: "HEAD", url: r.url("")}).is(t, 405)
	if got.body != "" || got.header.Get("Allow") != "POST,PUT,OPTIONS" {
		t.Errorf("%+v", got)
	}
	if got := send(t, r.client, request{method: "GET", url: r.url("")}); got.header.Get("Allow") != "POST,PUT,OPTIONS" {
		t.Errorf("%+v", got)
	}
}

func TestOPTIONS(t *testing.T) {
	r := start(t, nil, signing)
	got := send(t, r.client, request{method: "OPTIONS", url: r.url("")}).is(t, 200)
	got.common(t)
	if got.body != "" || got.header.Get("Allow") != "POST,PUT,OPTIONS" || got.header.Get("Access-Control-Allow-Methods") != "POST,PUT,OPTIONS" {
		t.Errorf("%+v", got)
	}
	if got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("CORS headers by default: %v", got.header)
	}
}

func TestPaths(t *testing.T) {
	r := start(t, nil)
	base := "http://" + r.endpoint.Addr().String()
	for path, status := range map[string]int{"/push": 202, "/push/": 202, "/push/x": 404, "/pushx": 404, "/": 404} {
		send(t, r.client, request{url: base + path, body: []byte(hello)}).is(t, status)
	}
	root := start(t, nil, `{"path":"/"}`)
	base = "http://" + root.endpoint.Addr().String()
	for path, status := range map[string]int{"/": 202, "": 202, "/x": 404} {
		send(t, root.client, request{url: base + path, body: []byte(hello)}).is(t, status)
	}
}

func TestSuccessStatus(t *testing.T) {
	for _, test := range []struct {
		kind, forced, agent string
		status              int
	}{
		{"pusher", `"auto"`, "curl/8", 202}, {"publisher", `"auto"`, "curl/8", 200}, {"publisher", `"auto"`, "", 200},
		{"pusher", `"auto"`, "crossbarconnect-python", 202}, {"publisher", `"auto"`, "crossbarconnect-python", 202},
		{"publisher", `"auto"`, "Crossbarconnect", 200}, {"publisher", `"auto"`, "x crossbarconnect", 200},
		{"pusher", "200", "curl/8", 200}, {"pusher", "200", "crossbarconnect-python", 200}, {"publisher", "202", "curl/8", 202},
	} {
		r := start(t, nil, `{"type":"`+test.kind+`","success_status":`+test.forced+`}`)
		r.post("", hello, "User-Agent", test.agent).id(t, test.status)
	}
}

// TestBodies goes through the table of edge cases, and more of the kind.
func TestBodies(t *testing.T) {
	deep := func(levels int) string {
		return `{"topic":"a","args":` + strings.Repeat("[", levels-1) + "1" + strings.Repeat("]", levels-1) + `}`
	}
	const notJSON, notUTF8 = "Request body was invalid JSON.", "Non-decodable request body, was not UTF-8."
	for body, want := range map[string]string{
		`{"topic":"a","args":"abc"}`:                    "args must be a list",
		`{"topic":"a","args":{"x":1}}`:                  "args must be a list",
		`{"topic":"a","args":5}`:                        "args must be a list",
		`{"topic":"a","args":true}`:                     "args must be a list",
		`{"topic":"a","kwargs":[1]}`:                    "kwargs must be an object",
		`{"topic":"a","kwargs":"x"}`:                    "kwargs must be an object",
		`{"topic":"a","options":[1]}`:                   "options must be an object",
		`{"topic":"a","options":"x"}`:                   "options must be an object",
		`{"topic":"a","options":1}`:                     "options must be an object",
		`{"topic":null}`:                                "topic must be a string",
		`{"topic":5}`:                                   "topic must be a string",
		`{"topic":["a"]}`:                               "topic must be a string",
		`{"topic":""}`:                                  "topic must not be empty",
		`{"topic":"a..b"}`:                              "topic has an empty component: write one or more components joined by single dots",
		`{"topic":"a."}`:                                "topic has an empty component: write one or more components joined by single dots",
		`{"topic":".a"}`:                                "topic has an empty component: write one or more components joined by single dots",
		`{"topic":"."}`:                                 "topic has an empty component: write one or more components joined by single dots",
		`{"topic":"a b"}`:                               "topic must not contain white space or #",
		`{"topic":"a#b"}`:                               "topic must not contain white space or #",
		`{"topic":"a\n"}`:                               "topic must not contain white space or #",
		`{"topic":"a\u00a0b"}`:                          "topic must not contain white space or #",
		`{"topic":"a\u2003b"}`:                          "topic must not contain white space or #",
		`{"topic":"` + strings.Repeat("x", 1025) + `"}`: "topic is longer than 1024 bytes",
		`{"topic":"` + strings.Repeat("ü", 513) + `"}`:  "topic is longer than 1024 bytes",
		deep(201):                                       "Request body was nested deeper than 200 levels.",
		`{}`:                                            "Request body was valid JSON, but not well formed (missing key 'topic').",
		`{"Topic":"a"}`:                                 "Request body was valid JSON, but not well formed (missing key 'topic').",
		`[]`:                                            "Request body was valid JSON, but not well formed (must be a dict).",
		`[{"topic":"a"}]`:                               "Request body was valid JSON, but not well formed (must be a dict).",
		`5`:                                             "Request body was valid JSON, but not well formed (must be a dict).",
		`"topic"`:                                       "Request body was valid JSON, but not well formed (must be a dict).",
		``:                                              notJSON,
		` `:                                             notJSON,
		`{"topic":"a"`:                                  notJSON,
		`{"topic":"a"} x`:                               notJSON,
		`{"topic":"a"}{}`:                               notJSON,
		`{"topic":"a","args":[NaN]}`:                    notJSON,
		`{"topic":"a","args":[Infinity]}`:               notJSON,
		`{"topic":"a","args":[-Infinity]}`:              notJSON,
		`{"topic":"a","args":["\ud800"]}`:               notJSON,
		`{"topic":"a","args":["\udc00\ud800"]}`:         notJSON,
		`{'topic':'a'}`:                                 notJSON,
		`topic=a`:                                       notJSON,
		"\xef\xbb\xbf" + `{"topic":"a"}`:                notJSON,
		"{\"topic\":\"a\",\"args\":[\"\xff\"]}":         notUTF8,
		"{\"topic\":\"a\",\"args\":[\"\xed\xa0\x80\"]}": notUTF8,
		"\xff not JSON either":                          notUTF8,
	} {
		r := start(t, nil)
		if text := r.post("", body).fault(t, 400).Error; text != want {
			t.Errorf("%.80q: error %q, want %q", body, text, want)
		}
		r.published(0)
	}
	for body, data := range map[string]string{
		`{"topic":"a"}`: `{"args":[],"kwargs":{}}`,
		`{"topic":"a","args":null,"kwargs":[],"options":[]}`:                `{"args":[],"kwargs":{}}`,
		`{"topic":"a","args":{},"kwargs":"","options":0}`:                   `{"args":[],"kwargs":{}}`,
		`{"topic":"a","args":false,"kwargs":false,"options":false}`:         `{"args":[],"kwargs":{}}`,
		`{"topic":"a","args":0.0,"kwargs":-0,"options":""}`:                 `{"args":[],"kwargs":{}}`,
		`{"topic":"a","args":[ ],"kwargs":{ }}`:                             `{"args":[],"kwargs":{}}`,
		`{"topic":"a","args":[ 1 , 2.50 ],"kwargs":{ "z" : "\u00fc" }}`:     `{"args":[ 1 , 2.50 ],"kwargs":{ "z" : "\u00fc" }}`,
		`{"topic":"a","kwargs":{"options":1,"topic":2,"self":3}}`:           `{"args":[],"kwargs":{"options":1,"topic":2,"self":3}}`,
		`{"topic":"a","args":[123456789012345678901234567890]}`:             `{"args":[123456789012345678901234567890],"kwargs":{}}`,
		`{"topic":"b","args":[1],"topic":"a","args":[2],"x":{"topic":"c"}}`: `{"args":[2],"kwargs":{}}`,
		`{"t\u006fpic":"a","arg\u0073":[3]}`:                                `{"args":[3],"kwargs":{}}`,
		`{"topic":"\u0061"}`:                                                `{"args":[],"kwargs":{}}`,
		`{"topic":"a","args":["` + "\u2028" + `</script>"]}`:                `{"args":["` + "\u2028" + `</script>"],"kwargs":{}}`,
		deep(200): strings.Replace(strings.Replace(deep(200), `"topic":"a",`, "", 1), "]}", `],"kwargs":{}}`, 1),
	} {
		r := start(t, nil)
		r.post("", body).id(t, 202)
		event := r.published(1)
		if string(event.Data) != data || event.Topic != "a" || event.Type != core.TypeWAMP || event.Space != "realm1" || event.Meta["wamp.role"] != "role1" || len(event.Meta) != 1 {
			t.Errorf("%.80s: event %+v with data %.200s", body, event, event.Data)
		}
	}
	for _, topic := range []string{"com.Example-1/x_y", "ü.中", "a", "wampx.y", "wamp", "bridge", "bridges.x", strings.Repeat("x", 1024)} {
		r := start(t, nil)
		r.post("", `{"topic":"`+topic+`"}`).id(t, 202)
		if event := r.published(1); event.Topic != topic {
			t.Errorf("topic %s", event.Topic)
		}
	}
}

func TestReservedTopics(t *testing.T) {
	asked := func(host *coretest.Host) {
		host.OnCall = func(context.Context, core.Call) ([]core.Answer, error) {
			t.Error("a reserved topic is not worth a question")
			return nil, nil
		}
	}
	for _, topic := range []string{"wamp.session.on_join", "wamp.x", "bridge.history"} {
		for config, status := range map[string]int{`{"type":"pusher"}`: 400, `{"type":"publisher"}`: 200, `{"type":"publisher","error_status":"semantic"}`: 422} {
			r := start(t, asked, config)
			f := r.post("", `{"topic":"`+topic+`"}`).fault(t, status)
			if f.Error != "wamp.error.invalid_uri" {
				t.Errorf("%+v", f)
			}
			r.published(0)
		}
	}
}

// talk sends bytes as they are and reads one answer.
func (r *running) talk(t *testing.T, text string) (status int, rest string) {
	t.Helper()
	conn, err := net.Dial("tcp", r.endpoint.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestRawRequests are requests that net/http's client would not send.
func TestRawRequests(t *testing.T) {
	head := func(version string, more ...string) string {
		return "POST /push HTTP/" + version + "\r\nHost: x\r\nConnection: close\r\n" + strings.Join(more, "\r\n") + "\r\n\r\n"
	}
	size := fmt.Sprintf("Content-Length: %d", len(hello))
	for _, test := range []struct {
		name, text string
		status     int
		contains   string
		published  int
	}{
		{"HTTP/1.0", head("1.0", size) + hello, 202, `{"id":`, 1},
		{"two different lengths", head("1.1", size, "Content-Length: 5") + hello, 400, "", 0},
		{"body too short", head("1.1", "Content-Length: 100") + hello, 400, fmt.Sprintf("Body length (%d) is different to Content-Length header (100).", len(hello)), 0},
		{"broken chunk", head("1.1", "Transfer-Encoding: chunked") + "zz\r\n" + hello, 400, "Malformed request to the REST bridge.", 0},
		{"chunks that end early", head("1.1", "Transfer-Encoding: chunked") + "5\r\n{\"to", 400, "Malformed request to the REST bridge.", 0},
		{"huge length", head("1.1", "Content-Length: 999999999999") + hello, 413, "Request too long. (999999999999 is longer than accepted 1048576)", 0},
		{"expect, over the limit", head("1.1", "Expect: 100-continue", "Content-Length: 2000000"), 413, "Request too long.", 0},
		{"empty content type", head("1.1", "Content-Type:", size) + hello, 400, "Non-accepted content type.", 0},
		{"empty origin", head("1.1", "Origin:", size) + hello, 403, "cors_origins", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, nil)
			status, body := r.talk(t, test.text)
			if status != test.status || !strings.Contains(body, test.contains) {
				t.Errorf("status %d, body %s", status, body)
			}
			r.published(test.published)
		})
	}
}

// TestSlowBody wants an answer for a client that stops sending.
func TestSlowBody(t *testing.T) {
	r := start(t, nil, `{"limits":{"header_timeout":"50ms","body_timeout":"50ms"}}`)
	conn, err := net.Dial("tcp", r.endpoint.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /push HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d", response.StatusCode)
	}
}

// TestStopsReading sends an endless body and wants an answer all the same.
func TestStopsReading(t *testing.T) {
	r := start(t, nil, `{"post_body_limit":1000}`)
	endless := &endlessReader{}
	got, err := trySend(r.client, request{url: r.url(""), reader: endless})
	if err == nil {
		got.fault(t, 413)
	}
	r.published(0)
	if r.metric("bridge_crossbar_requests_total", "code", "AR413", "status", "413") != 1 {
		t.Errorf("the body was not refused: %v, %v", got, err)
	}
}

// endlessReader never ends.
type endlessReader struct{}

func (*endlessReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
