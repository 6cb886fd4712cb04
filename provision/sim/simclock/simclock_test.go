package simclock

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2025, 7, 21, 0, 0, 0, 0, time.UTC)

func TestNewRefusesBadScale(t *testing.T) {
	for _, scale := range []float64{-1, math.NaN(), math.Inf(1), 1e6} {
		if _, err := New(scale, start); err == nil {
			t.Errorf("scale %v: no error", scale)
		}
	}
}

func TestZeroScaleMovesOnlyBySleep(t *testing.T) {
	clock, err := New(0, start)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if got := clock.Now(); !got.Equal(start) {
		t.Fatalf("starts at %s", got)
	}
	for range 3 {
		if err := clock.Sleep(ctx, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if got := clock.Since(start); got != 3*time.Hour {
		t.Errorf("three sleeps of an hour took %s", got)
	}
	begin := clock.Now()
	for _, d := range []time.Duration{2 * time.Minute, 5 * time.Minute, time.Minute} {
		if err := clock.SleepUntil(ctx, begin.Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	if got := clock.Since(begin); got != 5*time.Minute {
		t.Errorf("side by side took %s, want the longest, 5m", got)
	}
	if err := clock.Sleep(ctx, -time.Hour); err != nil || clock.Since(begin) != 5*time.Minute {
		t.Errorf("a negative sleep moved the clock to %s (%v)", clock.Now(), err)
	}
}

func TestZeroScaleCountsConcurrentSleeps(t *testing.T) {
	clock, _ := New(0, start)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _ = clock.Sleep(context.Background(), time.Second) })
	}
	all.Wait()
	if got := clock.Since(start); got != 50*time.Second {
		t.Errorf("50 sleeps of a second took %s", got)
	}
}

func TestAwaitWaitsForOthers(t *testing.T) {
	clock, _ := New(0, start)
	done := make(chan error, 1)
	go func() { done <- clock.Await(context.Background(), start.Add(10*time.Minute)) }()
	_ = clock.Sleep(t.Context(), 9*time.Minute)
	select {
	case err := <-done:
		t.Fatalf("returned a minute early (%v)", err)
	default:
	}
	_ = clock.Sleep(t.Context(), 2*time.Minute)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := clock.Since(start); got != 11*time.Minute {
		t.Errorf("waiting spent time: %s", got)
	}
}

func TestCancelledSleepSpendsNothing(t *testing.T) {
	for _, scale := range []float64{0, 1} {
		clock, _ := New(scale, start)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := clock.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("scale %v: %v", scale, err)
		}
		if err := clock.Await(ctx, start.Add(time.Hour)); !errors.Is(err, context.Canceled) {
			t.Errorf("scale %v: Await: %v", scale, err)
		}
		if got := clock.Since(start); got > time.Minute {
			t.Errorf("scale %v: spent %s", scale, got)
		}
	}
}

func TestCompressedTime(t *testing.T) {
	clock, err := New(0.001, start)
	if err != nil {
		t.Fatal(err)
	}
	real := time.Now()
	if err := clock.Sleep(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if got := clock.Since(start); got < 20*time.Second {
		t.Errorf("slept 20 simulated seconds, but the clock says %s", got)
	}
	if got := time.Since(real); got < 20*time.Millisecond {
		t.Errorf("20 s at 0.001 took %s of real time", got)
	}
}
