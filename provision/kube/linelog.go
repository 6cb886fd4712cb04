package kube

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"time"
)

var (
	// ErrLogGap says that a part of a log cannot be read any more: it was rotated away, or its container was restarted.
	ErrLogGap = errors.New("the log has a gap")
	// errNoise is a line in a stream that the container did not write.
	errNoise = errors.New("the stream holds a line without a time")
	// errShort is a last reading that ends before what was read already.
	errShort = errors.New("the log is shorter than what was read of it before")
)

// longestLine bounds the memory for one line.
const longestLine = 64 << 20

// entry stands for one line that was written: when, and a hash of what. At 16 bytes a line a whole log can be compared
// without being kept.
type entry struct {
	at   int64 // nanoseconds; 0 where the server gives no times
	hash uint64
}

// lineLog writes each line of a log once, however often and from wherever the log is read, and in order.
type lineLog struct {
	w       io.Writer
	seed    maphash.Seed
	entries []entry
	known   bool // whether it is known if lines have times
	stamped bool
}

func newLineLog(w io.Writer) *lineLog { return &lineLog{w: w, seed: maphash.MakeSeed()} }

// since is from when on a broken log has to be read again; nil means from its start.
func (l *lineLog) since() *time.Time {
	if !l.stamped || len(l.entries) == 0 {
		return nil
	}
	t := time.Unix(0, l.entries[len(l.entries)-1].at).UTC()
	return &t
}

// read takes in a stream that starts with a line known from before, or is new. With last set the stream is the whole
// log: it must reach to the end of what is known, and its last line may lack the line end.
func (l *lineLog) read(r io.Reader, last bool) (err error) {
	in, out := bufio.NewReaderSize(r, 64<<10), bufio.NewWriterSize(l.w, 64<<10)
	flush := func() {
		if failed := out.Flush(); failed != nil && err == nil {
			err = permanent{fmt.Errorf("write the log: %w", failed)}
		}
	}
	defer flush()
	at := -1
	for err == nil {
		var line []byte
		line, err = readLine(in)
		whole := bytes.HasSuffix(line, []byte("\n"))
		if whole || last && errors.Is(err, io.EOF) && len(line) > 0 {
			var failed error
			if at, failed = l.take(out, line, at); failed != nil {
				return failed
			}
		}
		if in.Buffered() == 0 {
			flush() // the reader is about to wait
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if last && max(at, 0) < len(l.entries) {
		return errShort
	}
	return nil
}

// take compares a line with what is known at its place, or writes it if it is new. It gives the place of the next line;
// a place of -1 means that this is the first line of a stream.
func (l *lineLog) take(out io.Writer, line []byte, at int) (int, error) {
	stamp, text, ok := cutStamp(line)
	if !l.known {
		l.known, l.stamped = true, ok
	}
	if !l.stamped {
		stamp, text = 0, line
	} else if !ok {
		return at, fmt.Errorf("%w: %q", errNoise, shorten(line))
	}
	e := entry{stamp, maphash.Bytes(l.seed, text)}
	if at < 0 {
		var err error
		if at, err = l.locate(e); err != nil {
			return at, err
		}
	}
	if at < len(l.entries) {
		if l.entries[at] != e {
			return at, permanent{fmt.Errorf("line %d of the log is not what it was: %q", at+1, shorten(text))}
		}
		return at + 1, nil
	}
	if _, err := out.Write(text); err != nil {
		return at, permanent{fmt.Errorf("write the log: %w", err)}
	}
	l.entries = append(l.entries, e)
	return at + 1, nil
}

// locate finds the place of a stream's first line.
func (l *lineLog) locate(e entry) (int, error) {
	if len(l.entries) == 0 {
		return 0, nil
	}
	for i, known := range l.entries {
		if known == e {
			return i, nil
		}
		if !l.stamped {
			break
		}
	}
	if last := l.entries[len(l.entries)-1]; l.stamped && e.at > last.at {
		return -1, permanent{fmt.Errorf("%w between %s and %s: it was rotated, or its container restarted", ErrLogGap, clock(last.at), clock(e.at))}
	}
	return -1, permanent{errors.New("the log does not start as it did before")}
}

func clock(nanoseconds int64) string {
	return time.Unix(0, nanoseconds).UTC().Format("15:04:05.000000000")
}

// cutStamp parts the time that the server puts before a line from the line.
func cutStamp(line []byte) (int64, []byte, bool) {
	i := bytes.IndexByte(line, ' ')
	if i < len("2006-01-02T15:04:05Z") || i > len("2006-01-02T15:04:05.999999999+00:00") {
		return 0, line, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(line[:i]))
	if err != nil {
		return 0, line, false
	}
	return t.UnixNano(), line[i+1:], true
}

// readLine reads to the end of a line, or to the error that ends the stream.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > longestLine {
			return nil, permanent{fmt.Errorf("a line of the log is longer than %d MiB", longestLine>>20)}
		}
		line, err = in.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

func shorten(line []byte) string {
	line = bytes.TrimSpace(line)
	if len(line) > 80 {
		return string(line[:80]) + "..."
	}
	return string(line)
}
