// Package inprocess is an HTTP transport to a handler in the same process.
package inprocess

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Transport hands requests to a handler without a network between: no connection, no encryption, no frames. It is safe for concurrent use.
// Upgrades of the connection are not possible.
type Transport struct {
	ready   chan struct{}
	handler http.Handler
	token   string
}

// New is a transport whose requests wait until there is a handler, or until their contexts end.
func New() *Transport { return &Transport{ready: make(chan struct{})} }

// Serve begins to hand requests on, with a bearer token that says who asks. It is called once.
func (t *Transport) Serve(handler http.Handler, token string) {
	t.handler, t.token = handler, token
	close(t.ready)
}

// Ready is closed when requests are handed on.
func (t *Transport) Ready() <-chan struct{} { return t.ready }

// Wrap takes the place of a client's own transport.
func (t *Transport) Wrap(http.RoundTripper) http.RoundTripper { return t }

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-t.ready:
	case <-req.Context().Done():
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, req.Context().Err()
	}
	ctx, cancel := context.WithCancel(req.Context())
	asked := req.Clone(ctx)
	asked.Header.Set("Authorization", "Bearer "+t.token)
	asked.RequestURI, asked.RemoteAddr = req.URL.RequestURI(), "127.0.0.1:0"
	if asked.Host == "" {
		asked.Host = req.URL.Host
	}
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	a := &answer{request: req, header: http.Header{}, ctx: ctx, cancel: cancel, begun: make(chan *http.Response, 1)}
	go a.serve(t.handler, asked)
	select {
	case response := <-a.begun:
		if response == nil {
			return nil, fmt.Errorf("%s %s: the handler gave no answer", req.Method, req.URL.Path)
		}
		return response, nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// answer is a response under way: held back whole until the handler is done, or sent on in pieces once it flushes.
type answer struct {
	request *http.Request
	ctx     context.Context // of the request; its end ends the stream
	cancel  context.CancelFunc
	begun   chan *http.Response
	header  http.Header
	status  int
	held    bytes.Buffer
	stream  *io.PipeWriter // nil until the first flush
}

func (a *answer) serve(handler http.Handler, asked *http.Request) {
	defer asked.Body.Close()
	done := false
	defer func() {
		if !done {
			// The handler cut the connection, its way to end an answer that has begun.
			_ = recover()
			a.cut()
		}
	}()
	handler.ServeHTTP(a, asked)
	done = true
	if a.stream == nil {
		a.begin(io.NopCloser(&a.held), int64(a.held.Len()))
		a.cancel()
		return
	}
	a.Flush()
	_ = a.stream.CloseWithError(a.ctx.Err()) // the end, unless the client had given up
}

func (a *answer) cut() {
	if a.stream == nil {
		a.begun <- nil
		a.cancel()
		return
	}
	_ = a.stream.CloseWithError(io.ErrUnexpectedEOF)
}

func (a *answer) begin(body io.ReadCloser, length int64) {
	a.WriteHeader(http.StatusOK)
	a.begun <- &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header.Clone(), Body: body, ContentLength: length, Request: a.request,
	}
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter; what comes first counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.held.Write(p)
}

// Flush implements http.Flusher. It returns when the client has read what was held, so that a slow one is noticed as over a network.
func (a *answer) Flush() {
	if a.stream == nil {
		reader, writer := io.Pipe()
		a.stream = writer
		context.AfterFunc(a.ctx, func() { _ = writer.CloseWithError(a.ctx.Err()) })
		a.begin(&streamed{reader, a.cancel}, -1)
	}
	if a.held.Len() > 0 {
		// Handlers learn from the request's context that the client is gone.
		_, _ = a.stream.Write(a.held.Bytes())
		a.held.Reset()
	}
}

// CloseNotify implements the part of http.CloseNotifier that the API server's filters expect of a response; the request's context tells of the end.
func (a *answer) CloseNotify() <-chan bool { return nil }

// streamed ends the request when the client closes the body.
type streamed struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (s *streamed) Close() error {
	s.cancel()
	return s.PipeReader.Close()
}
