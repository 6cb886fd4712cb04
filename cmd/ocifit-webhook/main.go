// Command ocifit-webhook is the selection webhook alone, for images: `ocifit-lab webhook serve` without the rest of the program.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/serving"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	root := &cobra.Command{
		Use: "ocifit-lab", Short: "The selection webhook of ocifit-lab, alone",
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	// The arguments are those of the program, so that an image of either runs with the same deployment.
	webhook := &cobra.Command{Use: "webhook", Short: "Serve the admission webhook"}
	webhook.AddCommand(serving.Command(os.Stderr))
	root.AddCommand(webhook)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to clear up
	}
}
