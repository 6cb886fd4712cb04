package nodes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// lookAgain bounds how long a follower sleeps when the file system tells nothing.
const lookAgain = time.Second

type logOptions struct {
	follow, timestamps, previous bool
	tail, limit                  int64 // lines, bytes; negative: all
	since                        time.Time
}

func parseLogOptions(q url.Values) (logOptions, error) {
	o := logOptions{tail: -1, limit: -1}
	var errs []error
	boolean := func(name string) bool {
		if !q.Has(name) {
			return false
		}
		v, err := strconv.ParseBool(q.Get(name))
		errs = append(errs, err)
		return v
	}
	number := func(name string) int64 {
		if !q.Has(name) {
			return -1
		}
		v, err := strconv.ParseInt(q.Get(name), 10, 64)
		errs = append(errs, err)
		return v
	}
	o.follow, o.timestamps, o.previous = boolean("follow"), boolean("timestamps"), boolean("previous")
	o.tail, o.limit = number("tailLines"), number("limitBytes")
	if seconds := number("sinceSeconds"); seconds >= 0 {
		o.since = time.Now().Add(-time.Duration(seconds) * time.Second)
	}
	if text := q.Get("sinceTime"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		errs = append(errs, err)
		o.since = at
	}
	if err := errors.Join(errs...); err != nil {
		return o, fmt.Errorf("log options: %w", err)
	}
	return o, nil
}

// logFile is the log of one container: plain lines, as the program wrote them.
type logFile struct {
	path    string
	started time.Time
	// gone is closed when the container has ended. Nil: do not follow.
	gone <-chan struct{}
}

// noteReading leaves a .read file beside the log: whoever writes it may wait for a reader.
func (l logFile) noteReading() {
	if file, err := os.OpenFile(strings.TrimSuffix(l.path, ".log")+".read", os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		file.Close()
	}
}

// copyTo writes the log, following it until a .done file stands beside it, the container ends or the context does.
func (l logFile) copyTo(ctx context.Context, w io.Writer, o logOptions) error {
	out := &lineWriter{w: w, options: o, started: l.started}
	if o.tail >= 0 {
		skip, err := l.skipTo(o.tail)
		if err != nil {
			return err
		}
		out.skip = skip
	}
	err := l.stream(ctx, out)
	if errors.Is(err, errLimit) {
		return nil
	}
	return errors.Join(err, out.flush())
}

func (l logFile) stream(ctx context.Context, out io.Writer) error {
	if l.gone == nil {
		file, err := os.Open(l.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(out, file)
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer watcher.Close()
	if err := watcher.Add(filepath.Dir(l.path)); err != nil {
		return err
	}
	return l.followWith(ctx, watcher.Events, out)
}

func (l logFile) followWith(ctx context.Context, changes <-chan fsnotify.Event, out io.Writer) error {
	var file *os.File
	defer func() {
		if file != nil {
			file.Close()
		}
	}()
	for {
		// Asked before reading: what was written until then is read below, so nothing is missed at the end.
		last := l.ended()
		if file == nil {
			opened, err := os.Open(l.path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err == nil {
				file = opened
			}
		}
		if file != nil {
			if _, err := io.Copy(out, file); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.gone:
		case <-changes:
		case <-time.After(lookAgain):
		}
	}
}

func (l logFile) ended() bool {
	select {
	case <-l.gone:
		return true
	default:
	}
	_, err := os.Stat(strings.TrimSuffix(l.path, ".log") + ".done")
	return err == nil
}

// skipTo counts the lines before the last n.
func (l logFile) skipTo(n int64) (int64, error) {
	data, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	lines := int64(bytes.Count(data, []byte("\n")))
	if len(data) > 0 && data[len(data)-1] != '\n' {
		lines++
	}
	return max(0, lines-n), nil
}

var errLimit = errors.New("byte limit reached")

// lineWriter passes on the lines that the options ask for. The lines of a file carry no times of their own: line n counts as
// written n microseconds after the container's start, so that times grow, are the same at every reading, and one can resume by them.
type lineWriter struct {
	w       io.Writer
	options logOptions
	started time.Time
	skip    int64
	line    int64
	partial []byte
}

func (l *lineWriter) Write(p []byte) (int, error) {
	if !l.options.timestamps && l.options.since.IsZero() && l.skip == 0 && len(l.partial) == 0 && l.options.limit < 0 {
		return l.w.Write(p)
	}
	rest := p
	for {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			l.partial = append(l.partial, rest...)
			return len(p), nil
		}
		line := append(l.partial, rest[:end+1]...)
		l.partial, rest = nil, rest[end+1:]
		if err := l.put(line); err != nil {
			return 0, err
		}
	}
}

func (l *lineWriter) put(line []byte) error {
	l.line++
	at := l.started.Add(time.Duration(l.line) * time.Microsecond)
	if l.line <= l.skip || at.Before(l.options.since) {
		return nil
	}
	if l.options.timestamps {
		line = append([]byte(at.UTC().Format(time.RFC3339Nano)+" "), line...)
	}
	if l.options.limit >= 0 {
		if int64(len(line)) >= l.options.limit {
			_, _ = l.w.Write(line[:l.options.limit])
			return errLimit
		}
		l.options.limit -= int64(len(line))
	}
	_, err := l.w.Write(line)
	return err
}

// flush passes on a last line without an end.
func (l *lineWriter) flush() error {
	if len(l.partial) == 0 {
		return nil
	}
	line := l.partial
	l.partial = nil
	if err := l.put(line); !errors.Is(err, errLimit) {
		return err
	}
	return nil
}

// flushWriter sends every piece at once: a follower sees a line when it is written.
type flushWriter struct{ http.ResponseWriter }

func (f flushWriter) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if flusher, ok := f.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
	return n, err
}

func logOrDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}
