package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Main runs the program with the process's arguments and streams and returns its exit code. The first Ctrl-C or SIGTERM stops
// the work in an orderly way, the second one leaves at once.
func Main() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	done := make(chan int, 1)
	go func() { done <- Run(ctx, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:]) }()
	for stopping := false; ; {
		select {
		case code := <-done:
			return code
		case <-signals:
			if stopping {
				fmt.Fprintln(os.Stderr, "left without cleaning up; the lab may still run: see `ocifit-lab status`, remove it with `ocifit-lab down`")
				return ExitError
			}
			fmt.Fprintln(os.Stderr, "stopping; press Ctrl-C again to leave at once")
			stopping = true
			cancel()
		}
	}
}
