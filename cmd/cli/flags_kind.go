package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/provision/lab"
)

// kindFlags change on the command line what lab.yaml says of kind and of what is installed from elsewhere.
type kindFlags struct {
	nodeImage, engine, versions, bundle string
	retain                              bool
	registryMirrors, chartMirrors       []string
}

func (f *kindFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.nodeImage, "node-image", "", "kind: image of the nodes (default: the lab's, or the one of this version of kind)")
	flags.StringVar(&f.engine, "engine", "", "kind: docker, podman or nerdctl (default: the first one that answers)")
	flags.BoolVar(&f.retain, "retain", false, "kind: keep the nodes of a cluster that could not be created")
	flags.StringVar(&f.versions, "versions", "", "versions of what is installed: pinned, or procedure for those that the study names")
	flags.StringVar(&f.bundle, "bundle", "", "file of `bundle create` that charts, manifests and images are taken from")
	flags.StringArrayVar(&f.registryMirrors, "registry-mirror", nil, "REGISTRY=MIRROR: ask MIRROR before REGISTRY for images")
	flags.StringArrayVar(&f.chartMirrors, "chart-mirror", nil, "HOST=MIRROR: ask MIRROR instead of HOST for charts and manifests")
	_ = cmd.RegisterFlagCompletionFunc("versions", words(lab.VersionsPinned, lab.VersionsProcedure))
	_ = cmd.RegisterFlagCompletionFunc("engine", words("docker", "podman", "nerdctl"))
}

func (f *kindFlags) apply(s *lab.Spec) error {
	for _, o := range []struct {
		flag string
		to   *string
	}{{f.nodeImage, &s.Kind.NodeImage}, {f.engine, &s.Kind.Engine}, {f.versions, &s.Components.Versions}} {
		if o.flag != "" {
			*o.to = o.flag
		}
	}
	s.Kind.Retain = s.Kind.Retain || f.retain
	if f.bundle != "" {
		path, err := filepath.Abs(f.bundle)
		if err != nil {
			return err
		}
		s.Components.Bundle = path
	}
	if err := addMirrors(&s.Components.RegistryMirrors, "--registry-mirror", f.registryMirrors); err != nil {
		return err
	}
	return addMirrors(&s.Components.ChartMirrors, "--chart-mirror", f.chartMirrors)
}

func addMirrors(to *map[string][]string, flag string, list []string) error {
	for _, text := range list {
		host, mirror, ok := strings.Cut(text, "=")
		if !ok || host == "" || mirror == "" {
			return fmt.Errorf("%s %q: write REGISTRY=MIRROR, such as docker.io=mirror.example/docker", flag, text)
		}
		if *to == nil {
			*to = map[string][]string{}
		}
		(*to)[host] = append((*to)[host], mirror)
	}
	return nil
}
