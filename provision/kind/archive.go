package kind

import (
	"archive/tar"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/compspec/ocifit-lab/provision/step"
)

// programRepository is the repository of images of this program. The host does not exist: they are never pulled.
const programRepository = "ocifit-lab.local/ocifit-lab"

// programPath is where the program lies in its image, nobody the user it runs as.
const (
	programPath = "ocifit-lab"
	nobody      = "65532"
)

// hostRoots is where this machine keeps the certificates by which a pod knows public registries.
const hostRoots = "/etc/ssl/certs/ca-certificates.crt"

// programImage names the image of a program by what the program is built from.
func programImage(file string) (string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return "", step.Try(fmt.Errorf("%s is not a program for Linux: %w", file, err),
			"name an image of ocifit-lab that fits the nodes as kind.labImage in lab.yaml")
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", step.Try(fmt.Errorf("%s needs a C library, which an image of this one file does not have", file),
				"build it with CGO_ENABLED=0 (make build does), or name an image as kind.labImage in lab.yaml")
		}
	}
	sum := sha256.New()
	if note := f.Section(".note.go.buildid"); note != nil {
		if _, err := io.Copy(sum, note.Open()); err != nil {
			return "", err
		}
	} else if err := hashFile(sum, file); err != nil {
		return "", err
	}
	return programRepository + ":" + hex.EncodeToString(sum.Sum(nil))[:12], nil
}

func hashFile(sum hash.Hash, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(sum, f)
	return err
}

// writeProgramImage writes an image with one program in the format that `docker load` reads, which podman, nerdctl and
// containerd read as well.
func writeProgramImage(w io.Writer, program, ref, architecture string) error {
	// The layer is written twice: its digest comes before it.
	sum := sha256.New()
	size := &counter{w: sum}
	if err := writeLayer(size, program); err != nil {
		return err
	}
	layer := hex.EncodeToString(sum.Sum(nil))
	config, err := json.Marshal(map[string]any{
		"architecture": architecture, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/" + programPath}, "User": nobody, "Env": []string{"PATH=/"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer}},
	})
	if err != nil {
		return err
	}
	configSum := sha256.Sum256(config)
	configName := hex.EncodeToString(configSum[:]) + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": configName, "RepoTags": []string{ref}, "Layers": []string{layer + "/layer.tar"}}})
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	if err := out.WriteHeader(&tar.Header{Name: layer + "/layer.tar", Mode: 0o644, Size: size.n, ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	if err := writeLayer(out, program); err != nil {
		return err
	}
	return errors.Join(writeFile(out, configName, config, 0o644), writeFile(out, "manifest.json", manifest, 0o644), out.Close())
}

// writeLayer writes the files of the image. Equal programs give equal bytes.
func writeLayer(w io.Writer, program string) error {
	out := tar.NewWriter(w)
	for _, dir := range []struct {
		name string
		mode int64
	}{{"tmp/", 0o1777}, {"etc/", 0o755}, {"etc/ssl/", 0o755}, {"etc/ssl/certs/", 0o755}, {"var/", 0o755}, {"var/lib/", 0o755}} {
		if err := out.WriteHeader(&tar.Header{Name: dir.name, Typeflag: tar.TypeDir, Mode: dir.mode, ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
	}
	if err := writeFile(out, "etc/passwd", []byte("root:x:0:0:root:/:/\nnobody:x:"+nobody+":"+nobody+":nobody:/:/\n"), 0o644); err != nil {
		return err
	}
	if roots, err := os.ReadFile(hostRoots); err == nil {
		if err := writeFile(out, hostRoots[1:], roots, 0o644); err != nil {
			return err
		}
	}
	f, err := os.Open(program)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: programPath, Mode: 0o755, Size: st.Size(), ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	if _, err := io.Copy(out, f); err != nil {
		return err
	}
	return out.Close()
}

func writeFile(out *tar.Writer, name string, data []byte, mode int64) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data)), ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	_, err := out.Write(data)
	return err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
