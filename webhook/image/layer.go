package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

const certificatesPath = "etc/ssl/certs/ca-certificates.crt"

// certificateFiles are where Linux systems keep the authorities they trust.
var certificateFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

// epoch is the time of everything in an image: equal content must have equal digests.
var epoch = time.Unix(0, 0).UTC()

// contents is the tar of the image's files. A reader that is closed early ends the writing of it.
func (o Options) contents(ctx context.Context, binary string) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		t := tar.NewWriter(w)
		err := o.fill(ctx, t, binary)
		if err == nil {
			err = t.Close()
		}
		w.CloseWithError(err)
	}()
	return r
}

// fill writes the files of the image.
func (o Options) fill(ctx context.Context, t *tar.Writer, binary string) error {
	for _, dir := range []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "tmp/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode, ModTime: epoch}); err != nil {
			return err
		}
	}
	uid, gid, _ := strings.Cut(user, ":")
	if err := add(t, "etc/passwd", []byte("root:x:0:0:root:/:/none\nnonroot:x:"+uid+":"+gid+":nonroot:/tmp:/none\n")); err != nil {
		return err
	}
	if err := add(t, "etc/group", []byte("root:x:0:\nnonroot:x:"+gid+":\n")); err != nil {
		return err
	}
	certs, err := certificates(o.Certificates)
	if err != nil {
		return err
	}
	if certs != nil {
		if err := add(t, certificatesPath, certs); err != nil {
			return err
		}
	}
	return addFile(ctx, t, o.Name, binary)
}

func add(t *tar.Writer, name string, data []byte) error {
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: epoch}); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}

func addFile(ctx context.Context, t *tar.Writer, name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: info.Size(), ModTime: epoch}); err != nil {
		return err
	}
	_, err = io.Copy(t, &cancelable{ctx, f})
	return err
}

// cancelable stops reading when its context ends.
type cancelable struct {
	ctx context.Context
	io.Reader
}

func (c *cancelable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// certificates reads the trusted authorities; nil when there are none and none were asked for.
func certificates(file string) ([]byte, error) {
	if file != "" {
		return os.ReadFile(file)
	}
	for _, name := range certificateFiles {
		data, err := os.ReadFile(name)
		if err == nil {
			return data, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("trusted authorities: %w", err)
		}
	}
	return nil, nil
}
