// Package simclock is the time of the simulated world: real time, compressed time, or time that passes only where somebody spends it.
package simclock

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/provision/wait"
)

// Clock is simulated time.
//
// With scale s > 0, a simulated second takes s real seconds. With scale 0 nothing waits: Sleep returns at once and moves the clock
// to the end of the sleep, and simulated time stands still otherwise.
type Clock interface {
	// Now is the simulated time.
	Now() time.Time
	// Since is the simulated time that has passed since t.
	Since(t time.Time) time.Duration
	// Sleep spends d of simulated time, from now on. At scale 0 it moves the clock on by d and returns at once.
	Sleep(ctx context.Context, d time.Duration) error
	// SleepUntil spends simulated time until t. At scale 0 it moves the clock to max(now, t), so that things which began
	// side by side also end side by side.
	SleepUntil(ctx context.Context, t time.Time) error
	// Await returns when simulated time has reached t, without spending any itself: at scale 0 it is others' sleeps that move the clock.
	Await(ctx context.Context, t time.Time) error
}

// New starts a clock at the simulated time start. Scale 1 is real time, 0.1 ten times faster, 0 without any waiting.
func New(scale float64, start time.Time) (Clock, error) {
	switch {
	case scale < 0 || scale != scale || scale > 1000:
		return nil, fmt.Errorf("time scale %v: want a number from 0 (no waiting) over 1 (real time) to 1000", scale)
	case scale == 0:
		return &spent{now: start, moved: make(chan struct{})}, nil
	default:
		return scaled{scale: scale, start: start, began: time.Now()}, nil
	}
}

type scaled struct {
	scale        float64
	start, began time.Time
}

func (c scaled) Now() time.Time {
	return c.start.Add(time.Duration(float64(time.Since(c.began)) / c.scale))
}

func (c scaled) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func (c scaled) Sleep(ctx context.Context, d time.Duration) error {
	return wait.Pause(ctx, time.Duration(float64(d)*c.scale))
}

func (c scaled) SleepUntil(ctx context.Context, t time.Time) error {
	return c.Sleep(ctx, t.Sub(c.Now()))
}

func (c scaled) Await(ctx context.Context, t time.Time) error { return c.Sleep(ctx, t.Sub(c.Now())) }

// spent is the clock of scale 0.
type spent struct {
	mu    sync.Mutex
	now   time.Time
	moved chan struct{} // closed and replaced when now moves
}

func (c *spent) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *spent) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func (c *spent) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.move(ctx, c.now.Add(d))
}

func (c *spent) SleepUntil(ctx context.Context, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.move(ctx, t)
}

func (c *spent) move(ctx context.Context, t time.Time) error {
	if err := ctx.Err(); err != nil || !t.After(c.now) {
		return err
	}
	c.now = t
	close(c.moved)
	c.moved = make(chan struct{})
	return nil
}

func (c *spent) Await(ctx context.Context, t time.Time) error {
	for {
		c.mu.Lock()
		reached, moved := !c.now.Before(t), c.moved
		c.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
