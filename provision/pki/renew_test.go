package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 73*time.Hour)
		defer cancel()
		began := time.Now()
		var at []time.Duration
		var complaints int
		Renew(ctx, 24*time.Hour, func() error {
			at = append(at, time.Since(began))
			if len(at) == 2 { // the disk is full for a while
				return errors.New("no space left on device")
			}
			return nil
		}, func(error) { complaints++ })
		want := []time.Duration{16 * time.Hour, 32 * time.Hour, 32*time.Hour + time.Minute, 48*time.Hour + time.Minute, 64*time.Hour + time.Minute}
		if len(at) != len(want) || complaints != 1 {
			t.Fatalf("at %v, want %v; %d complaints", at, want, complaints)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("renewal %d at %s, want %s", i, at[i], want[i])
			}
		}
	})
}

func TestServeRenews(t *testing.T) {
	ca, err := LoadOrCreate(t.TempDir(), "ca")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		get := ca.Serve(Request{CommonName: "x", DNSNames: []string{"localhost"}, Life: ShortLife, From: time.Now()})
		serial := func() string {
			c, err := get(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(c.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			if life := leaf.NotAfter.Sub(leaf.NotBefore); life > ShortLife+2*backdate {
				t.Errorf("it lives %s", life)
			}
			return leaf.SerialNumber.String()
		}
		first := serial()
		time.Sleep(15 * time.Hour)
		if serial() != first {
			t.Error("it was renewed too early")
		}
		time.Sleep(2 * time.Hour)
		if serial() == first {
			t.Error("it was not renewed")
		}
	})
}
