package kind

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"io"
	"os"

	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/webhook/image"
)

const (
	// programRepository is the repository of images of this program. The host does not exist: they are never pulled.
	programRepository = "ocifit-lab.local/ocifit-lab"
	programName       = "ocifit-lab"
)

// programImage names the image of a program by what the program is built from.
func programImage(file string) (string, error) {
	if _, err := image.Inspect(file); err != nil {
		return "", step.Try(err, "make build does; or name an image of ocifit-lab as kind.labImage in lab.yaml")
	}
	f, err := elf.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	// The linker's id stands for the whole file and is read at once.
	if note := f.Section(".note.go.buildid"); note != nil {
		_, err = io.Copy(sum, note.Open())
	} else {
		err = copyFile(sum, file)
	}
	if err != nil {
		return "", err
	}
	return programRepository + ":" + hex.EncodeToString(sum.Sum(nil))[:12], nil
}

func copyFile(w io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
