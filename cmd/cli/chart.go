package cli

import (
	"context"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/artifact"
)

// applicationChart is the chart that the study names, or the one built in for its application.
func applicationChart(ctx context.Context, s *study.Study, env provision.Environment) (*chart.Chart, error) {
	if s.Chart == "" {
		files, err := templates.Chart(s.Application)
		if err != nil {
			return nil, err
		}
		return chart.FromFS(files)
	}
	o := chart.Options{Dir: s.Dir(), Credential: artifact.DockerCredentials()}
	if env.PlainHTTP {
		o.PlainHTTP = []string{env.Registry}
	}
	return chart.Open(ctx, s.Chart, o)
}
