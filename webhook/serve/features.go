package serve

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/webhook/features"
)

// catalogueFiles lists the files of the catalogue: the file itself, or a folder's *.json in the order of their names.
func catalogueFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	// In the folder, whose own name may hold what a pattern would take for its own.
	names, err := fs.Glob(os.DirFS(path), "*.json")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the folder %s has no *.json", path)
	}
	files := make([]string, 0, len(names))
	for _, name := range names {
		files = append(files, filepath.Join(path, name))
	}
	return files, nil
}

// stampCatalogue tells versions of the catalogue's files apart.
func stampCatalogue(path string) (string, error) {
	files, err := catalogueFiles(path)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range files {
		s, err := stampOf(f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %d %d\n", f, s.modified.UnixNano(), s.size)
	}
	return b.String(), nil
}

// loadCatalogue reads the catalogue into the index and returns its stamp.
func loadCatalogue(path string, index *features.Index) (string, error) {
	stamp, err := stampCatalogue(path)
	if err != nil {
		return "", fmt.Errorf("features file: %w", err)
	}
	files, err := catalogueFiles(path)
	if err != nil {
		return "", fmt.Errorf("features file: %w", err)
	}
	var rows []features.Candidate
	for _, f := range files {
		c, err := loadFile(f, index.Identity())
		if err != nil {
			return stamp, err
		}
		if len(files) == 1 {
			index.SetCatalogue(c)
			return stamp, nil
		}
		rows = append(rows, c.Rows()...)
	}
	all, err := features.EncodeCatalogue(rows)
	if err != nil {
		return stamp, err
	}
	c, err := features.LoadCatalogue(all, index.Identity())
	if err != nil {
		return stamp, fmt.Errorf("features files in %s, together: %w", path, err)
	}
	index.SetCatalogue(c)
	return stamp, nil
}

func loadFile(file, identity string) (*features.Catalogue, error) {
	s, err := stampOf(file)
	if err != nil {
		return nil, fmt.Errorf("features file: %w", err)
	}
	if s.size > features.MaxCatalogueBytes {
		return nil, fmt.Errorf("features file %s: %d bytes, the limit is %d", file, s.size, features.MaxCatalogueBytes)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("features file: %w", err)
	}
	c, err := features.LoadCatalogue(data, identity)
	if err != nil {
		return nil, fmt.Errorf("features file %s: %w", file, err)
	}
	return c, nil
}

// watchCatalogue loads the catalogue again when it changes, until ctx ends. A broken file leaves the last good
// catalogue in use.
func (s *server) watchCatalogue(ctx context.Context, last string) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := stampCatalogue(s.cfg.FeaturesFile)
		if err == nil && now == last {
			continue
		}
		if err == nil {
			last = now
			_, err = loadCatalogue(s.cfg.FeaturesFile, s.index)
		}
		if err != nil {
			s.metrics.reloadErrors.Inc()
			s.cfg.Log.Warn("the catalogue could not be read again; the last good one stays", "error", err)
			continue
		}
		s.cfg.Log.Info("catalogue read again", "hash", s.index.Hash())
	}
}
