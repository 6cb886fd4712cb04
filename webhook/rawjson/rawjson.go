// Package rawjson reads a few fields out of a JSON document in one pass: an admission looks at a dozen of an object's
// hundred fields, and decoding it twice with reflection takes longer than everything else about it.
package rawjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds the nesting, as encoding/json does.
const maxDepth = 10000

// Reader stands at a value of a document. Each call consumes the value, checks its syntax as strictly as encoding/json
// does, and moves on. The document must not change while it is read.
type Reader struct {
	data  []byte
	pos   int
	depth int
}

// New starts at the document's first value.
func New(data []byte) *Reader {
	r := &Reader{data: data}
	r.space()
	return r
}

// End fails when something but space follows.
func (r *Reader) End() error {
	if r.pos < len(r.data) {
		return r.unexpected("the end")
	}
	return nil
}

func (r *Reader) unexpected(want string) error {
	if r.pos >= len(r.data) {
		return fmt.Errorf("the JSON ends where %s should be", want)
	}
	return fmt.Errorf("byte %d of the JSON is %q where %s should be", r.pos+1, r.data[r.pos], want)
}

// space skips white space; nearly always there is none.
func (r *Reader) space() {
	for r.pos < len(r.data) {
		switch r.data[r.pos] {
		case ' ', '\n', '\t', '\r':
			r.pos++
		default:
			return
		}
	}
}

func (r *Reader) peek() byte {
	if r.pos < len(r.data) {
		return r.data[r.pos]
	}
	return 0
}

// Null consumes a null and tells whether there was one.
func (r *Reader) Null() bool {
	if r.peek() != 'n' {
		return false
	}
	return r.literal("null") == nil
}

// Object calls member for each key, which must consume the value. The key is valid during the call.
func (r *Reader) Object(member func(key []byte) error) error {
	return r.sequence('{', '}', "an object", func() error {
		key, err := r.bytes()
		if err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.unexpected("a colon")
		}
		r.pos++
		r.space()
		return member(key)
	})
}

// Array calls element for each element, which must consume it.
func (r *Reader) Array(element func() error) error {
	return r.sequence('[', ']', "a list", element)
}

func (r *Reader) sequence(open, end byte, what string, element func() error) error {
	if r.peek() != open {
		return r.unexpected(what)
	}
	if r.depth++; r.depth > maxDepth {
		return errors.New("the JSON is nested too deep")
	}
	r.pos++
	r.space()
	if r.peek() == end {
		r.pos++
		r.space()
		r.depth--
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.pos++
			r.space()
		case end:
			r.pos++
			r.space()
			r.depth--
			return nil
		default:
			return r.unexpected("a comma or the end of " + what)
		}
	}
}

// String consumes a string.
func (r *Reader) String() (string, error) {
	b, err := r.bytes()
	return string(b), err
}

// bytes consumes a string; the result may be a part of the document.
func (r *Reader) bytes() ([]byte, error) {
	start := r.pos
	plain, err := r.text()
	if err != nil {
		return nil, err
	}
	raw := r.data[start:r.pos]
	r.space()
	if plain {
		return raw[1 : len(raw)-1], nil
	}
	// Escapes and what is no UTF-8 are read as everybody reads them.
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	return []byte(s), nil
}

// text moves behind a string and tells whether it has neither escapes nor anything but UTF-8.
func (r *Reader) text() (plain bool, err error) {
	if r.peek() != '"' {
		return false, r.unexpected("a string")
	}
	start := r.pos + 1
	plain = true
	ascii := true
	for i := start; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			r.pos = i + 1
			return plain && (ascii || utf8.Valid(r.data[start:i])), nil
		case c == '\\':
			plain = false
			if i, err = r.escape(i); err != nil {
				return false, err
			}
		case c < ' ':
			r.pos = i
			return false, r.unexpected("a character of a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	r.pos = len(r.data)
	return false, r.unexpected("the end of a string")
}

// escape checks the escape at i and returns the place of its last byte.
func (r *Reader) escape(i int) (int, error) {
	digits := 0
	if i+1 < len(r.data) {
		switch r.data[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			return i + 1, nil
		case 'u':
			for digits < 4 && i+2+digits < len(r.data) && isHex(r.data[i+2+digits]) {
				digits++
			}
		}
	}
	if digits < 4 {
		r.pos = min(i+1, len(r.data))
		return i, r.unexpected("an escape")
	}
	return i + 5, nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// Bool consumes true or false.
func (r *Reader) Bool() (bool, error) {
	switch r.peek() {
	case 't':
		return true, r.literal("true")
	case 'f':
		return false, r.literal("false")
	}
	return false, r.unexpected("true or false")
}

func (r *Reader) literal(text string) error {
	if len(r.data)-r.pos < len(text) || string(r.data[r.pos:r.pos+len(text)]) != text {
		return r.unexpected(text)
	}
	r.pos += len(text)
	r.space()
	return nil
}

// Raw consumes a value and returns it as it is written, without the space around it.
func (r *Reader) Raw() ([]byte, error) {
	start := r.pos
	if err := r.Skip(); err != nil {
		return nil, err
	}
	end := r.pos
	for end > start && isSpace(r.data[end-1]) {
		end--
	}
	return r.data[start:end], nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// Skip consumes a value.
func (r *Reader) Skip() error {
	switch c := r.peek(); c {
	case '{':
		return r.Object(func([]byte) error { return r.Skip() })
	case '[':
		return r.Array(r.Skip)
	case '"':
		_, err := r.text()
		r.space()
		return err
	case 't', 'f':
		_, err := r.Bool()
		return err
	case 'n':
		return r.literal("null")
	}
	return r.number()
}

// number moves behind a number.
func (r *Reader) number() error {
	if r.peek() == '-' {
		r.pos++
	}
	switch c := r.peek(); {
	case c == '0':
		r.pos++
	case c >= '1' && c <= '9':
		r.digits()
	default:
		return r.unexpected("a value")
	}
	if r.peek() == '.' {
		r.pos++
		if r.digits() == 0 {
			return r.unexpected("a digit")
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.pos++
		if c := r.peek(); c == '+' || c == '-' {
			r.pos++
		}
		if r.digits() == 0 {
			return r.unexpected("a digit")
		}
	}
	r.space()
	return nil
}

func (r *Reader) digits() (n int) {
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		r.pos++
		n++
	}
	return n
}

// StringMap consumes an object of strings; null is a nil map, and a null value an empty string, as in encoding/json.
// A key that comes twice is an error: whoever reads the document next may see the other one.
func (r *Reader) StringMap() (map[string]string, error) {
	if r.Null() {
		return nil, nil
	}
	m := map[string]string{}
	err := r.Object(func(key []byte) error {
		k := string(key)
		if _, twice := m[k]; twice {
			return fmt.Errorf("the key %q is there twice", k)
		}
		v, err := r.OptionalString()
		m[k] = v
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// OptionalString consumes a string or a null, which is an empty one.
func (r *Reader) OptionalString() (string, error) {
	if r.Null() {
		return "", nil
	}
	return r.String()
}
