package pki

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/provision/wait"
)

// ShortLife is the life of certificates that are renewed while they are in use: a key that was copied opens nothing tomorrow.
const ShortLife = 24 * time.Hour

// renewLook is how often the time is looked at. A machine that slept through a renewal makes up for it that soon after it wakes.
const renewLook = time.Minute

// Renew calls issue each time when two thirds of a life have passed since the last time that it succeeded, and first that long after it is
// called, until ctx ends. An issue that fails is told and tried again.
func Renew(ctx context.Context, life time.Duration, issue func() error, complain func(error)) {
	issued := wallClock()
	for wait.Pause(ctx, renewLook) == nil {
		if wallClock().Sub(issued) < life*2/3 {
			continue
		}
		if err := issue(); err != nil {
			complain(err)
			continue
		}
		issued = wallClock()
	}
}

// wallClock goes on while the machine sleeps, as certificates do.
func wallClock() time.Time { return time.Now().Round(0) }

// Serve gives a server its certificate, a new one each time when two thirds of the old one's life have passed.
func (a *Authority) Serve(r Request) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	var mu sync.Mutex
	var current tls.Certificate
	var until time.Time
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if now := wallClock(); now.After(until) {
			pair, err := a.Issue(r)
			if err != nil {
				return nil, err
			}
			if current, err = pair.TLS(); err != nil {
				return nil, err
			}
			until = now.Add(max(r.Life, time.Minute) * 2 / 3)
		}
		return &current, nil
	}
}
