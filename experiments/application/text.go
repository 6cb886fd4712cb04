package application

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Text reads a log as UTF-8, whatever it was saved as: UTF-16, as PowerShell redirects, with or without a byte order mark, or UTF-8.
func Text(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 32<<10)
	head, _ := b.Peek(512)
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) || bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}) {
		return transform.NewReader(b, unicode.BOMOverride(transform.Nop))
	}
	if endian, ok := utf16Without(head); ok {
		return transform.NewReader(b, unicode.UTF16(endian, unicode.IgnoreBOM).NewDecoder())
	}
	return b
}

// utf16Without tells UTF-16 without a byte order mark by its zero bytes, which stand at every second place of English text alone.
func utf16Without(head []byte) (endian unicode.Endianness, ok bool) {
	const enough = 16
	if len(head) < enough {
		return endian, false
	}
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i%2]++
		}
	}
	most := len(head) / 2
	switch {
	case zeros[0] == 0 && zeros[1] > most*9/10:
		return unicode.LittleEndian, true
	case zeros[1] == 0 && zeros[0] > most*9/10:
		return unicode.BigEndian, true
	}
	return endian, false
}

var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-B]|[=>78cDEHM])`)

// Plain takes the escape sequences of a terminal, such as colours, out of a line.
func Plain(line []byte) []byte {
	if bytes.IndexByte(line, 0x1b) < 0 {
		return line
	}
	return escapes.ReplaceAll(line, nil)
}

// signals are those by which programs end, by number.
var signals = map[int]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL, an illegal instruction: the image may be built for another processor", 5: "SIGTRAP",
	6: "SIGABRT, the program gave up", 7: "SIGBUS, a bus error", 8: "SIGFPE, an arithmetic error", 9: "SIGKILL, often for want of memory",
	11: "SIGSEGV, a segmentation fault", 13: "SIGPIPE", 15: "SIGTERM", 24: "SIGXCPU", 31: "SIGSYS",
}

var (
	exitCode   = regexp.MustCompile(`(?i)\bexit(?:ed)?(?: with)?(?: non-zero)?(?: exit)?(?: (?:code|status))?[:= ]+(\d{1,3})\b`)
	signalText = regexp.MustCompile(`(?i)\bsignal:? (\d{1,2})\b`)
	deathWords = regexp.MustCompile(`(?i)\b(segmentation fault|illegal instruction|bus error|floating point exception|out of memory|oom-kill\w*|core dumped|killed|exec format error|std::bad_alloc|unsatisfiable request|job\.exception .*)`)
)

// failureHints are parts of the words above; most lines have none of them and need no closer look.
var failureHints = [][]byte{
	[]byte("xit"), []byte("XIT"), []byte("ignal"), []byte("IGNAL"), []byte("fault"), []byte("instruction"), []byte("rror"), []byte("xception"),
	[]byte("emory"), []byte("oom-kill"), []byte("illed"), []byte("core dumped"), []byte("bad_alloc"), []byte("unsatisfiable"),
}

// ExitCode explains a program's exit code, with the signal that a code above 128 stands for.
func ExitCode(code int) string {
	if name := signals[code-128]; name != "" {
		return fmt.Sprintf("exit code %d (%s)", code, name)
	}
	return fmt.Sprintf("exit code %d", code)
}

// Failure says how a program failed if the line, of a launcher or a shell, tells of it; empty else.
func Failure(line []byte) string {
	if !slices.ContainsFunc(failureHints, func(hint []byte) bool { return bytes.Contains(line, hint) }) {
		return ""
	}
	if m := exitCode.FindSubmatch(line); m != nil {
		if code, err := strconv.Atoi(string(m[1])); err == nil && code != 0 && code < 256 {
			return ExitCode(code)
		}
	}
	if m := deathWords.FindSubmatch(line); m != nil {
		return string(m[1][:min(len(m[1]), 200)])
	}
	if m := signalText.FindSubmatch(line); m != nil {
		if n, err := strconv.Atoi(string(m[1])); err == nil && signals[n] != "" {
			return fmt.Sprintf("signal %d (%s)", n, signals[n])
		}
	}
	return ""
}
