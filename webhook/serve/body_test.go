package serve

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// unfinished sends some bytes of a body and then nothing until it is told to end.
type unfinished struct {
	io.Reader
	end  chan struct{}
	sent *atomic.Int64
}

func (u *unfinished) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	u.sent.Add(int64(n))
	if err == nil {
		return n, nil
	}
	<-u.end
	return 0, io.ErrUnexpectedEOF
}

// Clients that send large bodies and never finish take a bounded part of the memory: more of them are refused at once,
// reviews of the usual size are answered all the while, and all is well again when they are gone.
func TestUnfinishedBodies(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxInFlight, c.MaxBody = 4<<20, 2<<20 })
	end := make(chan struct{})
	var sent atomic.Int64
	answers := make(chan error, 100) // nil is a refusal that says to come again
	for range 20 {
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+PathMutate, &unfinished{strings.NewReader(strings.Repeat(" ", 1<<20)), end, &sent})
			if err != nil {
				panic(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.ContentLength = 2 << 20
			resp, err := s.newClient().Do(req)
			if err != nil {
				answers <- err
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable {
				err = fmt.Errorf("answered %s", resp.Status)
			}
			answers <- err
		}()
	}
	refused, told := 0, 0
	for refused < 17 { // 3 MiB have room for at most three bodies that have grown to a MiB
		select {
		case err := <-answers:
			// A refused client that still writes may find its connection gone before it reads the answer.
			if gone := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF); err != nil && !gone {
				t.Fatal(err)
			}
			if err == nil {
				told++
			}
			refused++
		case <-time.After(patience):
			t.Fatalf("%d of 20 were refused", refused)
		}
		if resp := s.admit(t, s.pod("speed")); !resp.Allowed {
			t.Fatalf("%+v", resp)
		}
	}
	if told == 0 {
		t.Error("no client was told to come again")
	}
	close(end)
	big := strings.Repeat(" ", 1<<20) + reviewOf(s.pod("speed"))
	eventually(t, "a large body is read again", func() bool {
		code, _ := s.ask(t, s.client, big)
		return code == http.StatusOK
	})
}

// The room that a body takes is what its buffers take, and all of it comes back.
func TestInflightAccounts(t *testing.T) {
	f := newInflight(1<<20, 256<<10)
	for _, size := range []int{0, 1, 4096, 4097, smallBody - 1, smallBody, smallBody + 1, 256 << 10, 256<<10 + 1} {
		for _, known := range []bool{true, false} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.NopCloser(strings.NewReader(strings.Repeat("x", size))))
			if err != nil {
				t.Fatal(err)
			}
			if r.ContentLength = -1; known {
				r.ContentLength = int64(size)
			}
			body, release, code, err := f.read(nil, r)
			if size > 256<<10 {
				if code != http.StatusRequestEntityTooLarge {
					t.Errorf("%d bytes: %d %v", size, code, err)
				}
				continue
			}
			if err != nil || len(body) != size {
				t.Errorf("%d bytes: %d, %v", size, len(body), err)
				continue
			}
			release()
		}
	}
	if !f.small.TryAcquire(1<<18) || !f.large.TryAcquire(1<<20-1<<18) {
		t.Error("room was lost")
	}
}
