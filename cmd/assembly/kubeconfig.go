package assembly

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/step"
)

// merged remembers which kubeconfig of the user's the cluster was put into, and for which API server.
type merged struct {
	File     string `json:"file"`
	Endpoint string `json:"endpoint"`
}

const mergedFile = "eks/merged.json"

// Merge puts the cluster into the user's own kubeconfig and returns the name of the context and the file.
func (l *Lab) Merge(ctx context.Context) (name, file string, err error) {
	p, ok := l.Provider.(provision.KubeconfigMerger)
	if !ok {
		return "", "", step.Try(errors.New("--merge is for provider eks"), "use the lab's own kubeconfig, %s", l.Dir.Kubeconfig())
	}
	status, err := l.Provider.Status(ctx)
	if err != nil {
		return "", "", err
	}
	m := merged{File: clientcmd.NewDefaultPathOptions().GetDefaultFilename(), Endpoint: status.Endpoint}
	// Remembered first: an entry that is not there can be taken out, one that is forgotten stays for ever.
	if err := atomicfile.WriteJSON(l.Dir.Path(mergedFile), m, 0o600); err != nil {
		return "", "", err
	}
	name, err = p.Merge(ctx, m.File)
	return name, m.File, err
}

// Unmerge takes out of the user's kubeconfig what Merge put in.
func (l *Lab) Unmerge() error {
	p, ok := l.Provider.(provision.KubeconfigMerger)
	if !ok {
		return nil
	}
	var m merged
	err := atomicfile.ReadJSON(l.Dir.Path(mergedFile), &m)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(m.File); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return p.Unmerge(m.File, m.Endpoint)
}
