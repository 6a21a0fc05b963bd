//go:build linux

package main

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

const roleRaw = "raw"

// serveRaw is the baseline of the push measurements: the same POST taken by bare
// net/http, then one write(2) for each subscriber, of a frame as long as the
// bridge's, then the same answer. Requests write side by side, so it has both
// cores. It prints its address and ends when standard input does.
func serveRaw() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var r rawServer
	mux := http.NewServeMux()
	mux.HandleFunc("POST /push", r.push)
	mux.HandleFunc("GET /ws", r.upgrade)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		listener.Close()
	}()
	fmt.Println(listener.Addr())
	_ = http.Serve(listener, mux) // until the listener is closed
	return nil
}

type rawServer struct {
	mu          sync.RWMutex
	subscribers []net.Conn
}

// upgrade takes a subscriber.
func (r *rawServer) upgrade(w http.ResponseWriter, request *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	digest := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	// Before the answer: who has it may count on every event from then on.
	r.mu.Lock()
	r.subscribers = append(r.subscribers, conn)
	r.mu.Unlock()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(digest[:]))
}

// The message around the arguments, as long as WAMP's EVENT, and the answer.
const (
	rawHead   = `[36,1,1234567890123456,{},`
	rawTail   = `]`
	rawAnswer = `{"id":1234567890123456}`
)

// push sends an event to every subscriber.
func (r *rawServer) push(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	args, err := argsOf(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	message := append([]byte(rawHead), args...)
	sent := appendFrame(nil, opcodeText, append(message, rawTail...), false)
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, subscriber := range r.subscribers {
		if _, err := subscriber.Write(sent); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, _ = io.WriteString(w, rawAnswer)
}
