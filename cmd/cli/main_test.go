package cli

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
)

func TestSignals(t *testing.T) {
	for name, c := range map[string]struct {
		at   []time.Duration // of the signals
		want int             // exit code
		left bool            // without cleaning up
	}{
		"none":                    {nil, command.ExitOK, false},
		"one":                     {[]time.Duration{time.Second}, command.ExitError, false},
		"two that are one":        {[]time.Duration{time.Second, time.Second + 20*time.Millisecond}, command.ExitError, false},
		"three that are one":      {[]time.Duration{0, time.Millisecond, 900 * time.Millisecond}, command.ExitError, false},
		"two":                     {[]time.Duration{time.Second, 3 * time.Second}, command.ExitError, true},
		"two after two in a row":  {[]time.Duration{0, time.Millisecond, 2 * time.Second}, command.ExitError, true},
		"one after the work ends": {[]time.Duration{time.Hour}, command.ExitOK, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				done, signals, stopped := make(chan int, 1), make(chan os.Signal, 8), make(chan struct{})
				for _, at := range c.at {
					time.AfterFunc(at, func() { signals <- syscall.SIGTERM })
				}
				go func() { // the work: a minute, or ten seconds of cleaning up when it is stopped
					select {
					case <-time.After(time.Minute):
						done <- command.ExitOK
					case <-stopped:
						time.Sleep(10 * time.Second)
						done <- command.ExitError
					}
				}()
				var said strings.Builder
				defer time.Sleep(2 * time.Hour) // until all that was begun has ended
				got := untilDone(done, signals, &said, func() { close(stopped) })
				if left := strings.Contains(said.String(), "left without cleaning up"); got != c.want || left != c.left {
					t.Errorf("exit code %d, said %q", got, said.String())
				}
			})
		})
	}
}
