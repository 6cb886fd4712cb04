package inprocess

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func served(handler http.HandlerFunc) *http.Client {
	t := New()
	t.Serve(handler, "secret")
	return &http.Client{Transport: t}
}

func get(t *testing.T, ctx context.Context, client *http.Client) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api/path?q=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	return client.Do(req)
}

func TestWhole(t *testing.T) {
	client := served(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Told", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Host, body)
		w.Header().Set("X-Late", "yes")
	})
	response, err := client.Post("https://api/path?q=1", "text/plain", strings.NewReader("asked"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if want := "POST /path?q=1 api asked"; err != nil || string(body) != want {
		t.Errorf("body %q, %v; want %q", body, err, want)
	}
	if response.StatusCode != http.StatusCreated || response.ContentLength != int64(len(body)) || response.Header.Get("X-Told") != "Bearer secret" {
		t.Errorf("status %d, length %d, header %v", response.StatusCode, response.ContentLength, response.Header)
	}
}

// TestNoneIsLost: an answer counts although its request is over by then.
func TestNoneIsLost(t *testing.T) {
	client := served(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "whole") })
	for range 2000 {
		response, err := get(t, t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
}

func TestStream(t *testing.T) {
	next, ended := make(chan string), make(chan error, 1)
	client := served(func(w http.ResponseWriter, r *http.Request) {
		flusher := w.(http.Flusher)
		flusher.Flush()
		for {
			select {
			case line := <-next:
				fmt.Fprintln(w, line)
				flusher.Flush()
			case <-r.Context().Done():
				ended <- r.Context().Err()
				return
			}
		}
	})
	response, err := get(t, t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(response.Body)
	for _, want := range []string{"one", "two"} {
		next <- want
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("read %q, %v; want %q", lines.Text(), lines.Err(), want)
		}
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler saw %v", err)
	}
}

func TestStreamEnds(t *testing.T) {
	client := served(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "sent ")
		w.(http.Flusher).Flush()
		fmt.Fprint(w, "and the rest")
	})
	response, err := get(t, t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "sent and the rest" {
		t.Errorf("read %q, %v", body, err)
	}
}

func TestCut(t *testing.T) {
	for name, flush := range map[string]bool{"before the answer": false, "within the answer": true} {
		t.Run(name, func(t *testing.T) {
			client := served(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "half")
				if flush {
					w.(http.Flusher).Flush()
				}
				panic(http.ErrAbortHandler)
			})
			response, err := get(t, t.Context(), client)
			if !flush {
				if err == nil {
					response.Body.Close()
					t.Fatal("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != "half" {
				t.Errorf("read %q, %v", body, err)
			}
		})
	}
}

// TestGivenUp ends requests that nobody waits for any more, before there is a server and while it works.
func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	early := &http.Client{Transport: New()}
	if response, err := get(t, ctx, early); !errors.Is(err, context.DeadlineExceeded) {
		response.Body.Close()
		t.Errorf("without a server: %v", err)
	}
	ended := make(chan struct{})
	slow := served(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(ended) })
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if response, err := get(t, ctx, slow); !errors.Is(err, context.DeadlineExceeded) {
		response.Body.Close()
		t.Errorf("slow handler: %v", err)
	}
	<-ended
}

// TestGivenUpStream: a handler that goes on to send what nobody reads comes to its end.
func TestGivenUpStream(t *testing.T) {
	for name, first := range map[string]bool{"before it begins": false, "after it began": true} {
		t.Run(name, func(t *testing.T) {
			asked, ended := make(chan struct{}), make(chan struct{})
			client := served(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				if first {
					w.(http.Flusher).Flush()
				}
				close(asked)
				<-r.Context().Done()
				fmt.Fprint(w, "too late")
				w.(http.Flusher).Flush()
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-asked; cancel() }()
			response, err := get(t, ctx, client)
			if err == nil {
				_, err = io.ReadAll(response.Body)
				defer response.Body.Close()
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the client saw %v", err)
			}
			<-ended
		})
	}
}
