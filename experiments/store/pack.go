package store

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

// packedFile, beside a run's files, says which archive holds them.
const packedFile = "packed.json"

// Packed describes an archive of a run.
type Packed struct {
	Archive string    `json:"archive"` // path of the .tar.gz
	SHA256  string    `json:"sha256"`  // of the archive
	Content string    `json:"content"` // hash over the names and contents of the run's files at that time
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`
	Time    time.Time `json:"time"`
}

// Pack writes the run's files into a .tar.gz, under a folder named after the run, and notes in the run folder that it did. The run must
// be open for writing, so that nothing changes meanwhile. The same files give the same archive.
func (r *Run) Pack(ctx context.Context, archive string) (*Packed, error) {
	if r.mode != Write {
		return nil, fmt.Errorf("the run %s is open for reading only", r.dir)
	}
	if err := os.MkdirAll(filepath.Dir(archive), 0o700); err != nil {
		return nil, explain(r.dir, err)
	}
	var p *Packed
	err := atomicfile.Create(archive, 0o600, func(w io.Writer) (err error) {
		p, err = r.writeArchive(ctx, w)
		return err
	})
	if err != nil {
		return nil, explain(filepath.Dir(archive), err)
	}
	if p.Archive, err = filepath.Abs(archive); err != nil {
		return nil, err
	}
	return p, explain(r.dir, writeJSON(filepath.Join(r.dir, packedFile), p))
}

func (r *Run) writeArchive(ctx context.Context, w io.Writer) (*Packed, error) {
	files, err := runFiles(r.dir)
	if err != nil {
		return nil, err
	}
	whole, content := sha256.New(), sha256.New()
	gz := gzip.NewWriter(io.MultiWriter(w, whole))
	tw := tar.NewWriter(gz)
	p := &Packed{Files: len(files), Time: time.Now().UTC()}
	for _, name := range files {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("packing was stopped: %w", err)
		}
		n, err := addFile(tw, content, r.dir, name, r.info.ID)
		if err != nil {
			return nil, err
		}
		p.Bytes += n
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		return nil, err
	}
	p.SHA256, p.Content = hex.EncodeToString(whole.Sum(nil)), hex.EncodeToString(content.Sum(nil))
	return p, nil
}

// runFiles lists a run's files in a fixed order: its description and its trials, not the lock nor reports that can be written again.
func runFiles(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil || e.IsDir() {
			return err
		}
		name = filepath.ToSlash(name)
		if (name == runFile || strings.HasPrefix(name, logsDir+"/")) && !atomicfile.IsTemp(name) && e.Type().IsRegular() {
			out = append(out, name)
		}
		return nil
	})
	slices.Sort(out)
	return out, err
}

func addFile(tw *tar.Writer, content io.Writer, dir, name, id string) (int64, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	h := &tar.Header{Name: path.Join(id, name), Mode: 0o644, Size: info.Size(), ModTime: info.ModTime().Truncate(time.Second), Format: tar.FormatPAX}
	if err := tw.WriteHeader(h); err != nil {
		return 0, err
	}
	fmt.Fprintf(content, "%s %d\n", name, info.Size())
	return io.Copy(tw, io.TeeReader(f, content))
}

// contentHash hashes a run's files as Pack did.
func contentHash(ctx context.Context, dir string) (string, error) {
	files, err := runFiles(dir)
	if err != nil {
		return "", err
	}
	content := sha256.New()
	tw := tar.NewWriter(io.Discard)
	for _, name := range files {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if _, err := addFile(tw, content, dir, name, ""); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(content.Sum(nil)), nil
}

// safelyPacked says why a run's folder may not be removed; empty when its archive is whole and holds everything that the folder does.
func safelyPacked(ctx context.Context, dir string) string {
	data, err := os.ReadFile(filepath.Join(dir, packedFile))
	if err != nil {
		return "it is not packed"
	}
	var p Packed
	if err := json.Unmarshal(data, &p); err != nil {
		return packedFile + " is broken: " + err.Error()
	}
	f, err := os.Open(p.Archive)
	if err != nil {
		return "its archive cannot be read: " + err.Error()
	}
	defer f.Close()
	whole := sha256.New()
	if _, err := io.Copy(whole, f); err != nil || hex.EncodeToString(whole.Sum(nil)) != p.SHA256 {
		return "its archive " + p.Archive + " is not as it was written"
	}
	content, err := contentHash(ctx, dir)
	if err != nil {
		return "its files cannot be read: " + err.Error()
	}
	if content != p.Content {
		return "it has changed since it was packed"
	}
	return ""
}
