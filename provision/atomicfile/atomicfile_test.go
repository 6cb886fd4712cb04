package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestWriteReplacesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"first and long", "second"} {
		if err := Write(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, %v; want %q", got, err, text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info, err)
	}
	if err := Write(filepath.Join(dir, "none", "file"), nil, 0o600); err == nil {
		t.Error("no error for a folder that does not exist")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left beside the file: %v", entries)
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	// A folder cannot be replaced by a file.
	target := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(target, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(target, []byte("x"), 0o600); err == nil {
		t.Error("no error")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left: %v", entries)
	}
}

func TestJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := ReadJSON(path, new(int)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := WriteJSON(path, map[string]int{"a": 1}, 0o600); err != nil {
		t.Fatal(err)
	}
	var got map[string]int
	if err := ReadJSON(path, &got); err != nil || got["a"] != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestCreateTakesNothingBackHalf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken pipe")
	err := Create(path, 0o600, func(w io.Writer) error {
		_, _ = w.Write([]byte("half"))
		if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 2 || !IsTemp(entries[0].Name()) || IsTemp(entries[1].Name()) {
			t.Errorf("while it is written: %v", entries)
		}
		return broken
	})
	if got, _ := os.ReadFile(path); !errors.Is(err, broken) || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left: %v", entries)
	}
}

func TestModeHoldsWhateverTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOutputWritesThrough(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, make := range []error{
		os.WriteFile(at("real"), []byte("old"), 0o640), os.Chmod(at("real"), 0o640), os.Symlink("real", at("link")), os.Symlink("link", at("link to link")),
		os.Symlink("later", at("dangling")), syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("loop", at("loop")),
	} {
		if make != nil {
			t.Fatal(make)
		}
	}
	said := make(chan string)
	go func() {
		data, err := os.ReadFile(at("pipe"))
		said <- fmt.Sprint(string(data), err)
	}()
	for name, c := range map[string]struct {
		kind fs.FileMode // that stays
		file string      // that has the text in the end
	}{
		"link": {fs.ModeSymlink, "real"}, "link to link": {fs.ModeSymlink, "real"}, "dangling": {fs.ModeSymlink, "later"}, "new": {0, "new"},
		"pipe": {fs.ModeNamedPipe, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Output(at(name), []byte("new of "+name), 0o600); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(at(name)); err != nil || info.Mode().Type() != c.kind {
				t.Errorf("%v is there now, %v", info, err)
			}
			if c.file != "" {
				if got, err := os.ReadFile(at(c.file)); err != nil || string(got) != "new of "+name {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	if got := <-said; got != "new of pipe<nil>" {
		t.Errorf("through the pipe came %q", got)
	}
	if info, err := os.Stat(at("real")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the owner's mode is gone: %v, %v", info, err)
	}
	for _, name := range []string{".", "loop", "none/file"} {
		if err := Output(at(name), nil, 0o600); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Output(os.DevNull, []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
}
