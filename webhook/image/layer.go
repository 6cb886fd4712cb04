package image

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const certificatesPath = "etc/ssl/certs/ca-certificates.crt"

// certificatePlaces are where Linux systems keep the authorities they trust.
var certificatePlaces = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

// epoch is the time of everything in an image: equal content must have equal digests.
var epoch = time.Unix(0, 0)

// writeLayer writes the layer as a gzipped tar and returns its description and the digest of the tar itself.
func writeLayer(ctx context.Context, to io.Writer, file string, o Options) (ocispec.Descriptor, digest.Digest, error) {
	packed, plain := digest.Canonical.Digester(), digest.Canonical.Digester()
	size := &counter{}
	zip, err := gzip.NewWriterLevel(io.MultiWriter(to, packed.Hash(), size), gzip.BestSpeed)
	if err != nil {
		return ocispec.Descriptor{}, "", err
	}
	t := tar.NewWriter(io.MultiWriter(zip, plain.Hash()))
	if err := errors.Join(fill(ctx, t, file, o), t.Close(), zip.Close()); err != nil {
		return ocispec.Descriptor{}, "", err
	}
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: packed.Digest(), Size: size.n}, plain.Digest(), nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// fill writes the files of the image.
func fill(ctx context.Context, t *tar.Writer, file string, o Options) error {
	for _, dir := range []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "tmp/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode, ModTime: epoch}); err != nil {
			return err
		}
	}
	uid, gid, _ := strings.Cut(User, ":")
	if err := add(t, "etc/passwd", 0o644, []byte("root:x:0:0:root:/:/none\nnonroot:x:"+uid+":"+gid+":nonroot:/tmp:/none\n")); err != nil {
		return err
	}
	if err := add(t, "etc/group", 0o644, []byte("root:x:0:\nnonroot:x:"+gid+":\n")); err != nil {
		return err
	}
	certs, err := certificates(o.Certificates)
	if err != nil {
		return err
	}
	if certs != nil {
		if err := add(t, certificatesPath, 0o644, certs); err != nil {
			return err
		}
	}
	return addFile(ctx, t, o.Name, file)
}

func add(t *tar.Writer, name string, mode int64, data []byte) error {
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: epoch}); err != nil {
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
	for _, place := range certificatePlaces {
		data, err := os.ReadFile(place)
		if err == nil {
			return data, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("trusted authorities: %w", err)
		}
	}
	return nil, nil
}
