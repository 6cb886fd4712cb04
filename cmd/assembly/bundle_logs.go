package assembly

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/labstate"
)

// bundleTail is how much of the end of a log goes into a bundle.
const bundleTail = 2 << 20

// LogBundle writes what a maintainer needs to see of a lab as a .tar.gz: versions, state, what is wrong, events, pods and logs. Secrets are
// left out or masked. What cannot be had is named in errors.txt.
func (l *Lab) LogBundle(ctx context.Context, state *labstate.State, versions any, w io.Writer) error {
	zip := gzip.NewWriter(w)
	b := &bundle{tar: tar.NewWriter(zip)}
	b.json("versions.json", versions)
	b.json("state.json", state)
	if data, err := l.Spec.YAML(); b.note("lab.yaml", err) {
		b.add("lab.yaml", data)
	}
	b.json("findings.json", l.Diagnose(ctx, state))
	if status, err := l.Provider.Status(ctx); b.note("status", err) {
		b.json("status.json", status)
		if status.State == provision.Running {
			l.clusterLogs(ctx, b)
		}
	}
	l.fileLogs(b)
	if b.trouble.Len() > 0 {
		b.add("errors.txt", b.trouble.Bytes())
	}
	return errors.Join(b.err, b.tar.Close(), zip.Close())
}

func (l *Lab) clusterLogs(ctx context.Context, b *bundle) {
	cluster, err := l.Provider.Connect(ctx)
	if !b.note("cluster", err) {
		return
	}
	if events, err := cluster.Events(ctx, "", ""); b.note("events", err) {
		b.json("events.json", events)
	}
	pods, err := cluster.Clientset.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if b.note("pods", err) {
		for i := range pods.Items {
			pods.Items[i].ManagedFields = nil
		}
		b.json("pods.json", pods.Items)
	}
}

// fileLogs takes the ends of the logs in the state folder.
func (l *Lab) fileLogs(b *bundle) {
	err := filepath.WalkDir(l.Dir.Path(), func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(file) != ".log" {
			return err
		}
		data, err := os.ReadFile(file)
		name, relErr := filepath.Rel(l.Dir.Path(), file)
		if b.note(file, errors.Join(err, relErr)) {
			b.add(filepath.ToSlash(name), data[max(0, len(data)-bundleTail):])
		}
		return nil
	})
	b.note("logs", err)
}

// bundle gathers files; the first error of the archive itself stays.
type bundle struct {
	tar     *tar.Writer
	trouble bytes.Buffer
	err     error
}

// note keeps why something is not in the bundle, and tells whether it can be.
func (b *bundle) note(what string, err error) bool {
	if err != nil {
		fmt.Fprintf(&b.trouble, "%s: %v\n", what, err)
	}
	return err == nil
}

func (b *bundle) json(name string, v any) {
	if data, err := json.MarshalIndent(v, "", "  "); b.note(name, err) {
		b.add(name, append(data, '\n'))
	}
}

func (b *bundle) add(name string, data []byte) {
	data = mask(data)
	h := &tar.Header{Name: path.Join("ocifit-lab-logs", name), Mode: 0o600, Size: int64(len(data)), ModTime: time.Now()}
	if b.err == nil {
		b.err = b.tar.WriteHeader(h)
	}
	if b.err == nil {
		_, b.err = b.tar.Write(data)
	}
}

var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(?i)((?:password|passwd|secret[a-z_-]*|token|authorization|api[_-]?key)["']?\s*[:=]\s*["']?(?:basic |bearer )?)[^\s"',;]{4,}`),
	regexp.MustCompile(`()(?:AKIA|ASIA)[A-Z0-9]{16}`),
	regexp.MustCompile(`()-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)-----END [A-Z ]*PRIVATE KEY-----`),
	regexp.MustCompile(`()eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+`), // JSON web tokens
	regexp.MustCompile(`(://[^/\s:@]+:)[^@\s/]+@`),
}

// mask takes passwords, tokens and keys out of a text.
func mask(text []byte) []byte {
	for _, s := range secrets {
		text = s.ReplaceAll(text, []byte("${1}[masked]"))
	}
	return text
}

// SaveLogBundle puts a bundle into the state folder, newest three, and returns its file.
func (l *Lab) SaveLogBundle(ctx context.Context, state *labstate.State, versions any) (string, error) {
	dir := l.Dir.Path("logs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	old, err := fs.Glob(os.DirFS(dir), "bundle-*.tar.gz")
	if err != nil {
		return "", err
	}
	slices.Sort(old)
	for len(old) > 2 {
		if err := os.Remove(filepath.Join(dir, old[0])); err != nil {
			return "", err
		}
		old = old[1:]
	}
	file := filepath.Join(dir, "bundle-"+strings.ReplaceAll(time.Now().UTC().Format("20060102-150405.000"), ".", "-")+".tar.gz")
	return file, atomicfile.Create(file, 0o600, func(w io.Writer) error { return l.LogBundle(ctx, state, versions, w) })
}
