// Package filelock is a lock between processes that tells who holds it. The system gives it back when its holder ends, however that is.
package filelock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// ErrHeld is what the error of Acquire wraps when another process, or another part of this one, has the lock.
var ErrHeld = errors.New("locked")

// Holder is who has a lock.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Command string    `json:"command"` // as it was typed, without the folder of the program
	Since   time.Time `json:"since"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "another program"
	}
	return fmt.Sprintf("process %d on %s (%s, since %s)", h.PID, h.Host, h.Command, h.Since.Local().Format(time.DateTime))
}

// HeldError says who has a lock; it matches ErrHeld.
type HeldError struct {
	What   string // what is locked
	Holder Holder // zero when it is not known
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is in use by %s: wait until it ends, or stop it", e.What, e.Holder)
}

// Is makes a HeldError match ErrHeld.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// Lock is a lock that this process has.
type Lock struct{ file *flock.Flock }

// Acquire takes the lock at path, whose folder must exist, or returns a *HeldError. what names in its text what is locked: "lab \"ocifit\"".
func Acquire(path, what string) (*Lock, error) {
	for try := 1; ; try++ {
		file := flock.New(path, flock.SetPermissions(0o600))
		ok, err := file.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", what, err)
		}
		if !ok && try < 5 {
			// One who only asks for the holder has it for a moment.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if !ok {
			holder, _ := read(path)
			return nil, &HeldError{What: what, Holder: holder}
		}
		if same(path, file) {
			lock := &Lock{file}
			if err := write(path); err != nil {
				return nil, errors.Join(fmt.Errorf("lock %s: %w", what, err), lock.Release())
			}
			return lock, nil
		}
		// The one who had it removed the file meanwhile: what is locked now is another one's no more.
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("lock %s: %w", what, err)
		}
	}
}

// Release gives the lock back. The file stays: were it removed, two processes could each lock one of that name.
func (l *Lock) Release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// HolderOf tells who has the lock at path; false when nobody has, or there is no such file.
func HolderOf(path string) (Holder, bool) {
	if _, err := os.Stat(path); err != nil {
		return Holder{}, false
	}
	file := flock.New(path, flock.SetFlag(os.O_RDONLY))
	free, err := file.TryRLock()
	defer file.Close()
	if err != nil || free {
		return Holder{}, false
	}
	h, _ := read(path)
	return h, true
}

func same(path string, file *flock.Flock) bool {
	named, err := os.Stat(path)
	if err != nil {
		return false
	}
	held, err := file.Stat()
	return err == nil && os.SameFile(named, held)
}

// read waits a moment for a holder that has the lock and is about to say so.
func read(path string) (Holder, error) {
	var h Holder
	for try := 0; ; try++ {
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &h)
		}
		if err == nil || try == 5 || errors.Is(err, fs.ErrNotExist) {
			return h, err
		}
		time.Sleep(time.Millisecond)
	}
}

// write fills the file in place, for a renamed one would be another lock.
func write(path string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	data, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Command: command(os.Args), Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o600)
}

func command(args []string) string {
	if len(args) == 0 {
		return "?"
	}
	return strings.Join(append([]string{filepath.Base(args[0])}, args[1:]...), " ")
}
