package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/quiet"
)

// oneSignal is how close together signals count as one: `timeout`, process managers and terminals send them to the process and again to
// its group.
const oneSignal = time.Second

// Main runs the program with the process's arguments and streams and returns its exit code. The first Ctrl-C, SIGTERM or SIGHUP stops
// the work in an orderly way, one that comes a second or more later leaves at once.
func Main() int {
	quiet.Restore()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	done := make(chan int, 1)
	go func() { done <- Run(ctx, command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:]) }()
	return untilDone(done, signals, os.Stderr, func() {
		// The reader of our output may have got the same signal: that must not end the clearing up.
		signal.Ignore(syscall.SIGPIPE)
		cancel()
	})
}

// untilDone returns the exit code of the work, which it stops at the first signal and leaves behind at the second.
func untilDone(done <-chan int, signals <-chan os.Signal, say io.Writer, stop func()) int {
	var first time.Time
	for {
		select {
		case code := <-done:
			return code
		case <-signals:
			switch {
			case first.IsZero():
				first = time.Now()
				fmt.Fprintln(say, "stopping; press Ctrl-C again to leave at once")
				stop()
			case time.Since(first) >= oneSignal:
				fmt.Fprintln(say, "left without cleaning up; the lab may still run: see `ocifit-lab status`, remove it with `ocifit-lab down`")
				return command.ExitError
			}
		}
	}
}
