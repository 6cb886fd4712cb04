// Command ocifit-lab runs the OCIFit study: cluster, addons, experiments, comparison and teardown.
package main

import (
	"os"

	"github.com/compspec/ocifit-lab/cmd/cli"
)

func main() { os.Exit(cli.Main()) }
