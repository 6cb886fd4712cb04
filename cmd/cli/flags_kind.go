package cli

import (
	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/provision/lab"
)

// kindFlags change on the command line what lab.yaml says of kind.
type kindFlags struct {
	nodeImage, engine string
	retain            bool
}

func (f *kindFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.nodeImage, "node-image", "", "kind: image of the nodes (default: the lab's, or the one of this version of kind)")
	flags.StringVar(&f.engine, "engine", "", "kind: docker, podman or nerdctl (default: the first one that answers)")
	flags.BoolVar(&f.retain, "retain", false, "kind: keep the nodes of a cluster that could not be created")
	_ = cmd.RegisterFlagCompletionFunc("engine", command.Words("docker", "podman", "nerdctl"))
}

func (f *kindFlags) apply(s *lab.Spec) {
	if f.nodeImage != "" {
		s.Kind.NodeImage = f.nodeImage
	}
	if f.engine != "" {
		s.Kind.Engine = f.engine
	}
	s.Kind.Retain = s.Kind.Retain || f.retain
}
