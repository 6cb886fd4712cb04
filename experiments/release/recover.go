package release

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	helmkube "helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// remedy is how a release is removed.
type remedy int

const (
	// uninstall is Helm's own way, with the chart's deletion hooks.
	uninstall remedy = iota
	// sweep deletes what the manifests of all revisions list, without hooks: they belong to a release that works.
	sweep
)

// remedies by the status of the newest revision. Helm itself only knows how to go on from the first; from the others it
// answers that the name is in use, that another operation is in progress, or that the release is deleted already.
var remedies = map[release.Status]remedy{
	release.StatusDeployed:        uninstall,
	release.StatusFailed:          sweep, // some objects may have been made
	release.StatusPendingInstall:  sweep, // killed between record and result
	release.StatusPendingUpgrade:  sweep, // objects of two revisions may be there
	release.StatusPendingRollback: sweep,
	release.StatusUninstalling:    sweep, // killed, or a deletion failed
	release.StatusUninstalled:     sweep, // killed before the record went; objects may still be going
	release.StatusSuperseded:      sweep, // the record of its successor is lost
	release.StatusUnknown:         sweep,
}

// clear removes a release of any status with its records, and waits until its objects are gone. The records go last, so
// that a removal that breaks can be taken up again.
func (c *Client) clear(ctx context.Context, cfg *action.Configuration, name string) error {
	revisions, err := cfg.Releases.History(name)
	if errors.Is(err, driver.ErrReleaseNotFound) || err == nil && len(revisions) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for release %s: %w", name, err)
	}
	releaseutil.SortByRevision(revisions)
	status := revisions[len(revisions)-1].Info.Status
	c.log("release %s is %s: removing it", name, status)
	// Statuses that a later Helm may bring are swept as well.
	if how, known := remedies[status]; known && how == uninstall {
		err = c.uninstall(ctx, cfg, name)
	} else {
		err = c.sweep(cfg, revisions)
	}
	if err != nil {
		return err
	}
	for _, r := range revisions {
		if _, err := cfg.Releases.Delete(r.Name, r.Version); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
			return fmt.Errorf("remove the record of release %s: %w", name, err)
		}
	}
	return nil
}

func (c *Client) uninstall(ctx context.Context, cfg *action.Configuration, name string) error {
	noted := &noting{Interface: cfg.KubeClient}
	cfg.KubeClient = noted
	defer func() { cfg.KubeClient = noted.Interface }()
	if r, ok := cfg.Releases.Driver.(*records); ok {
		r.ending = true
		defer func() { r.ending = false }()
	}
	u := action.NewUninstall(cfg)
	u.KeepHistory, u.Wait, u.DeletionPropagation, u.Timeout = true, true, strings.ToLower(string(c.propagation)), remaining(ctx)
	_, err := u.Run(name)
	if err != nil && noted.err != nil {
		return noted.err // Helm keeps only the text of it, or nothing
	}
	return err
}

// sweep deletes the objects of all revisions and waits until they are gone.
func (c *Client) sweep(cfg *action.Configuration, revisions []*release.Release) error {
	var objects helmkube.ResourceList
	for _, r := range revisions {
		found, err := c.build(cfg, r)
		if err != nil {
			return err
		}
		for _, o := range found {
			if !objects.Contains(o) {
				objects.Append(o)
			}
		}
	}
	if len(objects) == 0 {
		return nil
	}
	deleter := &noting{Interface: cfg.KubeClient}
	if _, errs := deleter.DeleteWithPropagationPolicy(objects, c.propagation); len(errs) > 0 {
		return errors.Join(errs...)
	}
	return deleter.WaitForDelete(objects, 0)
}

// build reads the objects of a revision, in the order in which they are to be removed, less those that the chart wants
// kept. Objects of kinds that the cluster does not serve any more cannot exist.
func (c *Client) build(cfg *action.Configuration, r *release.Release) (helmkube.ResourceList, error) {
	_, files, err := releaseutil.SortManifests(releaseutil.SplitManifests(r.Manifest), nil, releaseutil.UninstallOrder)
	if err != nil {
		return nil, fmt.Errorf("read the record of release %s, revision %d: %w", r.Name, r.Version, err)
	}
	var objects helmkube.ResourceList
	for _, f := range files {
		if meta := f.Head.Metadata; meta != nil && meta.Annotations[helmkube.ResourcePolicyAnno] == helmkube.KeepPolicy {
			continue
		}
		found, err := cfg.KubeClient.Build(strings.NewReader(f.Content), false)
		if unknownKind(err) {
			c.log("release %s: %v", r.Name, err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s of release %s: %w", f.Name, r.Name, err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}
