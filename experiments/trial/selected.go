package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// noDecision begins the error of a MiniCluster that the webhook did not see.
const noDecision = "the MiniCluster carries no decision"

// ErrArtifactChanged says that a decision was made by another artifact than those of the run before it.
var ErrArtifactChanged = errors.New("the artifact has changed")

// artifact is the digest by which all decisions of a run are made: the first one's.
type artifact struct {
	mu     sync.Mutex
	digest string
}

// same refuses a decision by another artifact than the first one's.
func (a *artifact) same(digest string) error {
	if digest == "" {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.digest == "" {
		a.digest = digest
	}
	if a.digest == digest {
		return nil
	}
	return step.Try(fmt.Errorf("%w: the run's trials were decided by %s, this one by %s", ErrArtifactChanged, a.digest, digest),
		"put the artifact back (`ocifit-lab artifact push`), or begin another run with --run NAME")
}

// readArtifact takes the digest from the trials that earlier calls of the program ran.
func (r *Runner) readArtifact(ctx context.Context) error {
	records, err := r.Store.Records(ctx)
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Trial.Artifact != "" && rec.Problem == "" {
			return r.artifact.same(rec.Trial.Artifact)
		}
	}
	return nil
}

// awaitDecision looks at the installed MiniCluster: without a decision its pod would wait for an image that does not exist.
func (a *attempt) awaitDecision(ctx context.Context) error {
	got, err := a.Cluster.Dynamic.Resource(miniClusters).Namespace(a.Namespace).Get(ctx, a.release, metav1.GetOptions{})
	if err != nil {
		return beforePod(&Failure{"webhook", a.Cluster.Explain(err)})
	}
	text := got.GetAnnotations()[compat.AnnotationDecision]
	if text == "" {
		return beforePod(&Failure{"webhook", errors.New(noDecision + ": is the webhook registered?")})
	}
	decision, err := compat.ParseDecision(text)
	if err != nil {
		return &Failure{"webhook", err}
	}
	a.bound = decision.InstanceType
	return a.artifact.same(decision.ArtifactDigest)
}
