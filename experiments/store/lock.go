package store

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// LockedError says that another program writes to the run.
type LockedError struct {
	Dir   string
	PID   int // 0 when it is not known
	Host  string
	Since time.Time
}

func (e *LockedError) Error() string {
	who := "another program"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d on %s (since %s)", e.PID, e.Host, e.Since.Local().Format(time.DateTime))
	}
	return fmt.Sprintf("the run folder %s is in use by %s: wait until it ends, or stop it", e.Dir, who)
}

type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// acquire takes the lock, which the system gives back when the process ends, however it ends.
func (r *Run) acquire() error {
	file := filepath.Join(r.dir, lockFile)
	lock := flock.New(file)
	ok, err := lock.TryLock()
	if err != nil {
		return explain(r.dir, fmt.Errorf("lock the run: %w", err))
	}
	if !ok {
		locked := &LockedError{Dir: r.dir}
		var h holder
		if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &h) == nil {
			locked.PID, locked.Host, locked.Since = h.PID, h.Host, h.Since
		}
		return locked
	}
	r.lock = lock
	host, _ := os.Hostname()
	data, err := json.Marshal(holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC()})
	if err == nil {
		// In place, for a renamed file would be another lock.
		err = os.WriteFile(file, append(data, '\n'), 0o644)
	}
	if err != nil {
		_ = r.Close()
		return explain(r.dir, err)
	}
	return nil
}
