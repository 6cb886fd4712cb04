package hpcg

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxLine is the length beyond which a line is cut: only flux's job records have long lines.
const maxLine = maxJobJSON

var errBinary = errors.New("binary data")

// lineReader gives a stream's lines without their ends, without copying those that fit its buffer.
type lineReader struct {
	r    *bufio.Reader
	long []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 32<<10)}
}

// next returns the next line, valid until the following call; io.EOF after the last. A line beyond maxLine is cut.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
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
	return bytes.TrimSuffix(line, []byte("\r")), nil
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
