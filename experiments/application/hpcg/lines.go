package hpcg

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/compspec/ocifit-lab/experiments/application"
)

// maxLine is the length beyond which a line is cut: only flux's job records have long lines.
const maxLine = maxJobJSON

var errBinary = errors.New("binary data")

// lineReader gives a stream's lines without their ends, without copying those that fit its buffer. A carriage return ends a line too, for
// programs show their progress with it.
type lineReader struct {
	r       *bufio.Reader
	long    []byte
	pending []byte // of the line that was read last
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(application.Text(r), 32<<10)}
}

// next returns the next line, valid until the following call; io.EOF after the last. A line beyond maxLine is cut.
func (l *lineReader) next() ([]byte, error) {
	line := l.pending
	if l.pending = nil; line == nil {
		var err error
		line, err = l.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			line, err = l.rest(line)
		}
		if len(line) == 0 && err != nil {
			return nil, err
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if bytes.IndexByte(line, 0) >= 0 {
			return nil, errBinary
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	if at := bytes.IndexByte(line, '\r'); at >= 0 {
		line, l.pending = line[:at], line[at+1:]
	}
	return application.Plain(line), nil
}

func (l *lineReader) rest(first []byte) ([]byte, error) {
	l.long = append(l.long[:0], first...)
	for {
		part, err := l.r.ReadSlice('\n')
		if room := maxLine - len(l.long); room > 0 {
			l.long = append(l.long, part[:min(room, len(part))]...)
		}
		if bytes.IndexByte(part, 0) >= 0 {
			return nil, errBinary
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l.long, err
		}
	}
}
