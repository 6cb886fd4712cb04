package cli

import (
	"fmt"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/experiments/trial"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/step"
)

// nodeReplacer is nil for a study that does not ask for fresh nodes.
func nodeReplacer(p provision.Provider, s *study.Study) (trial.NodeReplacer, error) {
	if !s.FreshNodes {
		return nil, nil
	}
	replacer, ok := p.(provision.NodeReplacer)
	if !ok {
		return nil, step.Try(fmt.Errorf("study %s on provider %s: %w", s.Name, p.Name(), trial.ErrNoReplacer),
			"run it with --reuse-nodes; the results then say how few machines each arm saw")
	}
	return replacer, nil
}
