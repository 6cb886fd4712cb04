// Command ocifit-lab runs the OCIFit study: cluster, addons, experiments, comparison and teardown.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/compspec/ocifit-lab/cmd/cli"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(os.Stderr, "stopping; press Ctrl-C again to leave at once")
		cancel()
		<-signals
		fmt.Fprintln(os.Stderr, "left without cleaning up; the lab may still run: see `ocifit-lab status`, remove it with `ocifit-lab down`")
		os.Exit(cli.ExitError)
	}()
	os.Exit(cli.Run(ctx, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:]))
}
