package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
)

// layoutPrefix starts a reference to an OCI layout folder.
const layoutPrefix = "oci:"

// layout is a reference to an artifact in an OCI layout folder: oci:DIR[:TAG] or oci:DIR@DIGEST. The prefix may be
// left out when DIR starts with a dot or a slash.
type layout struct {
	dir, name string
	pinned    bool
}

func parseLayout(ref string) (layout, bool) {
	rest, prefixed := strings.CutPrefix(ref, layoutPrefix)
	if !prefixed && !strings.HasPrefix(ref, ".") && !strings.HasPrefix(ref, "/") {
		return layout{}, false
	}
	if dir, digest, ok := strings.Cut(rest, "@"); ok {
		return layout{dir: dir, name: digest, pinned: true}, true
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, filepath.Separator) {
		return layout{dir: rest[:i], name: rest[i+1:]}, true
	}
	return layout{dir: rest, name: "latest"}, true
}

func (l layout) String() string {
	if l.pinned {
		return layoutPrefix + l.dir + "@" + l.name
	}
	return layoutPrefix + l.dir + ":" + l.name
}

// open opens the folder; only a push makes one that is not there.
func (l layout) open(ctx context.Context, create bool) (*source, error) {
	if l.dir == "" || l.name == "" {
		return nil, fmt.Errorf("%w: %q; write oci:FOLDER:TAG", ErrReference, l)
	}
	if _, err := os.Stat(filepath.Join(l.dir, "oci-layout")); errors.Is(err, fs.ErrNotExist) && !create {
		return nil, fmt.Errorf("%w: %s is not an OCI layout folder (it has no file oci-layout)", ErrUnavailable, l.dir)
	}
	s, err := oci.NewWithContext(ctx, l.dir)
	if errors.Is(err, content.ErrMismatchedDigest) {
		return nil, fmt.Errorf("%w: layout folder %s: %w", ErrContent, l.dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: layout folder %s: %w", ErrUnavailable, l.dir, err)
	}
	return &source{store: s, name: l.name, full: l.String(), pinned: l.pinned}, nil
}
