package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/serving"
	"github.com/compspec/ocifit-lab/provision/lab"
)

// componentFlags change on the command line what lab.yaml says of what is installed from elsewhere.
type componentFlags struct {
	versions, bundle              string
	registryMirrors, chartMirrors []string
}

func (f *componentFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.versions, "versions", "", "versions of what is installed: pinned, or procedure for those that the study names")
	flags.StringVar(&f.bundle, "bundle", "", "file of `bundle create` that charts, manifests and images are taken from")
	flags.StringArrayVar(&f.registryMirrors, "registry-mirror", nil, "REGISTRY=MIRROR: ask MIRROR before REGISTRY for images")
	flags.StringArrayVar(&f.chartMirrors, "chart-mirror", nil, "HOST=MIRROR: ask MIRROR instead of HOST for charts and manifests")
	_ = cmd.RegisterFlagCompletionFunc("versions", command.Words(lab.VersionsPinned, lab.VersionsProcedure))
}

func (f *componentFlags) apply(s *lab.Spec) error {
	if f.versions != "" {
		s.Components.Versions = f.versions
	}
	if f.bundle != "" {
		path, err := filepath.Abs(f.bundle)
		if err != nil {
			return err
		}
		s.Components.Bundle = path
	}
	if err := serving.AddMirrors(&s.Components.RegistryMirrors, "--registry-mirror", f.registryMirrors); err != nil {
		return err
	}
	return serving.AddMirrors(&s.Components.ChartMirrors, "--chart-mirror", f.chartMirrors)
}
