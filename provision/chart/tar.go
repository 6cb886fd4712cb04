package chart

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

// readFromTar returns one file of a tar file.
func readFromTar(file, name string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("there is no %s in it", name)
		}
		if err != nil {
			return nil, err
		}
		if path.Clean(h.Name) == name {
			return io.ReadAll(io.LimitReader(in, maxSize))
		}
	}
}

// copyTar copies a tar file with some of its files replaced.
func copyTar(file string, w io.Writer, instead map[string][]byte) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	out := tar.NewWriter(w)
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return err
		}
		data, replaced := instead[path.Clean(h.Name)]
		if replaced {
			h.Size = int64(len(data))
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if replaced {
			_, err = out.Write(data)
		} else {
			_, err = io.Copy(out, in)
		}
		if err != nil {
			return err
		}
	}
}

// packFolder writes the files of an OCI layout to a tar file. Equal files give equal bytes.
func packFolder(dir, file string) error {
	return atomicfile.Create(file, 0o644, func(w io.Writer) error {
		out := tar.NewWriter(w)
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				return err
			}
			if path.Dir(filepath.ToSlash(rel)) == "ingest" {
				return nil
			}
			return addFile(out, name, filepath.ToSlash(rel))
		})
		return errors.Join(err, out.Close())
	})
}

func addFile(out *tar.Writer, name, as string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: as, Mode: 0o644, Size: st.Size(), ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	return err
}
