package serve

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"
)

const (
	// usualBody is what most reviews are smaller than: so much room is given before anything was sent.
	usualBody = 16 << 10
	// smallBody is what nearly all reviews are smaller than.
	smallBody = 64 << 10
)

// inflight bounds the bytes of requests that are in memory at once: whoever sends many large bodies slowly must not fill
// the pod's memory. What is beyond the bound is refused at once, and the small bodies, which nearly all reviews have,
// have a bound of their own that the large ones cannot use up.
type inflight struct {
	small, large *semaphore.Weighted
	maxBody      int64
}

// errBusy is the error of a body for which there is no room.
var errBusy = errors.New("too many requests are being read; try again")

func newInflight(bytes, maxBody int64) *inflight {
	return &inflight{small: semaphore.NewWeighted(bytes / 4), large: semaphore.NewWeighted(max(bytes-bytes/4, maxBody+smallBody)), maxBody: maxBody}
}

// read reads a body. The buffer grows as the body arrives, so that only what was sent counts. release gives the room
// back; the bytes must not be used afterwards. The code is the HTTP status of the error.
func (f *inflight) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), code int, err error) {
	b := buffer{room: f}
	defer func() {
		if err != nil {
			b.release()
		}
	}()
	if r.ContentLength > f.maxBody {
		return nil, nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", f.maxBody)
	}
	first := int64(4 << 10)
	if r.ContentLength > 0 { // one more byte finds the end without growing again
		first = min(r.ContentLength+1, usualBody)
	}
	if err := b.grow(int(first)); err != nil {
		return nil, nil, http.StatusServiceUnavailable, err
	}
	in := http.MaxBytesReader(w, r.Body, f.maxBody)
	for {
		if len(b.data) == cap(b.data) {
			next := 2 * cap(b.data)
			if r.ContentLength > 0 {
				next = min(next, max(int(r.ContentLength)+1, cap(b.data)+1))
			}
			if err := b.grow(next); err != nil {
				return nil, nil, http.StatusServiceUnavailable, err
			}
		}
		n, err := in.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		var tooLarge *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			return b.data, b.release, 0, nil
		case errors.As(err, &tooLarge):
			return nil, nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", tooLarge.Limit)
		case err != nil:
			return nil, nil, http.StatusBadRequest, fmt.Errorf("read the body: %w", err)
		}
	}
}

// buffer holds a body and the room that was taken for it.
type buffer struct {
	room         *inflight
	data         []byte
	small, large int64
}

// grow moves the data into a larger buffer. Old and new are in memory together, and count together until the move is done.
func (b *buffer) grow(size int) error {
	n := int64(size)
	if size <= smallBody {
		if !b.room.small.TryAcquire(n) {
			return errBusy
		}
		b.move(size)
		b.room.small.Release(b.small)
		b.small = n
		return nil
	}
	if !b.room.large.TryAcquire(n) {
		return errBusy
	}
	b.move(size)
	b.room.large.Release(b.large)
	b.large = n
	b.room.small.Release(b.small)
	b.small = 0
	return nil
}

func (b *buffer) move(size int) {
	data := make([]byte, len(b.data), size)
	copy(data, b.data)
	b.data = data
}

func (b *buffer) release() {
	b.data = nil
	b.room.small.Release(b.small)
	b.room.large.Release(b.large)
	b.small, b.large = 0, 0
}
