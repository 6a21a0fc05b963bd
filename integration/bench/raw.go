//go:build linux

package main

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
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
	if len(os.Args) != 2 {
		return errors.New("the baseline wants one argument")
	}
	var name string
	if err := json.Unmarshal([]byte(os.Args[1]), &name); err != nil {
		return err
	}
	p, err := protocolNamed(name)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r := rawServer{protocol: p}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", r.push)
	mux.HandleFunc("GET /", r.upgrade)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		listener.Close()
	}()
	fmt.Println(listener.Addr())
	_ = http.Serve(listener, mux) // until the listener is closed
	return nil
}

type rawServer struct {
	protocol    protocol
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

// push sends an event to every subscriber.
func (r *rawServer) push(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	payload, err := r.protocol.payloadOf(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	message := append([]byte(r.protocol.message.head), payload...)
	sent := appendFrame(nil, opcodeText, append(message, r.protocol.message.tail...), false)
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, subscriber := range r.subscribers {
		if _, err := subscriber.Write(sent); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, _ = io.WriteString(w, r.protocol.answer)
}
