package release

import (
	"errors"

	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// records keeps what one operation has read of a release's records: Helm asks for the same history several times, and nobody else
// changes a release meanwhile.
type records struct {
	driver.Driver
	name    string // of the release whose history is known
	history []*release.Release
	// ending drops the note that a release is uninstalled: its records go at once.
	ending bool
	// remove deletes a record without reading it first, as Helm's driver would. Nil leaves it to the driver.
	remove func(key string) error
}

// Query answers from the history that was read; other questions go to the cluster.
func (r *records) Query(labels map[string]string) ([]*release.Release, error) {
	name := labels["name"]
	if name == "" || labels["owner"] != "helm" || len(labels) > 3 || len(labels) == 3 && labels["status"] == "" {
		return r.Driver.Query(labels)
	}
	if r.name != name {
		history, err := r.Driver.Query(map[string]string{"name": name, "owner": "helm"})
		if err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
			return nil, err
		}
		r.name, r.history = name, history
	}
	var found []*release.Release
	for _, rel := range r.history {
		if status := labels["status"]; status == "" || status == rel.Info.Status.String() {
			found = append(found, rel)
		}
	}
	if len(found) == 0 {
		return nil, driver.ErrReleaseNotFound
	}
	return found, nil
}

func (r *records) Create(key string, rel *release.Release) error {
	r.name = ""
	return r.Driver.Create(key, rel)
}

// Update may be given the very object that the history has, changed.
func (r *records) Update(key string, rel *release.Release) error {
	if r.ending && rel.Info.Status == release.StatusUninstalled {
		return nil
	}
	return r.Driver.Update(key, rel)
}

// Delete tells nothing of the release when it removes the record itself; this package does not ask.
func (r *records) Delete(key string) (*release.Release, error) {
	r.name = ""
	if r.remove == nil {
		return r.Driver.Delete(key)
	}
	return nil, r.remove(key)
}
