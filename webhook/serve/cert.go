package serve

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// stamp tells versions of a file apart.
type stamp struct {
	modified time.Time
	size     int64
}

func stampOf(file string) (stamp, error) {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.ModTime(), info.Size()}, nil
}

// certificate hands out the key pair of two files and reads them again when they change. A pair that cannot
// be read, e.g. in the middle of a rotation, leaves the last good one in use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu        sync.Mutex
	current   *tls.Certificate
	cert, key stamp
	checked   time.Time
}

// checkEvery bounds how often the files are checked at.
const checkEvery = time.Second

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("webhook certificate: %w", err)
	}
	return c, nil
}

// load reads the pair if its files changed.
func (c *certificate) load() error {
	cert, err := stampOf(c.certFile)
	if err != nil {
		return err
	}
	key, err := stampOf(c.keyFile)
	if err != nil {
		return err
	}
	if c.current != nil && cert == c.cert && key == c.key {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.cert, c.key = &pair, cert, key
	return nil
}

// get is tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= checkEvery {
		c.checked = now
		if err := c.load(); err != nil {
			c.log.Warn("the certificate could not be read again; the last good one stays", "error", err)
		}
	}
	return c.current, nil
}
