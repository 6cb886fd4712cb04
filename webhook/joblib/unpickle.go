package joblib

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Limits of a pickle.
const (
	maxBytes   = 64 << 20 // after decompression
	maxValues  = 2_000_000
	maxText    = 1 << 20
	maxNesting = 4 // pickles of object arrays inside pickles
)

var (
	errStack = errors.New("the pickle is damaged: its stack is empty")
	errMemo  = errors.New("the pickle is damaged: it refers to a value that it does not have")
)

// unpickler rebuilds the values of a pickle as plain data. It knows the opcodes that describe data and calls nothing:
// a class or function is a name, and only names of the allow-list are read at all.
type unpickler struct {
	in      *bufio.Reader
	left    *int // bytes that may still be read, shared by nested pickles
	values  *int // values that may still be made, likewise
	nesting int

	stack []any
	marks []int
	memo  map[int]any
}

func newUnpickler(in io.Reader) *unpickler {
	left, values := maxBytes, maxValues
	return &unpickler{in: bufio.NewReader(in), left: &left, values: &values, memo: map[int]any{}}
}

// nested reads a pickle that follows in the same stream.
func (u *unpickler) nested() (any, error) {
	if u.nesting == maxNesting {
		return nil, fmt.Errorf("pickles are nested deeper than %d", maxNesting)
	}
	inner := &unpickler{in: u.in, left: u.left, values: u.values, nesting: u.nesting + 1, memo: map[int]any{}}
	return inner.load()
}

// load reads to the end of the pickle and returns its value.
func (u *unpickler) load() (any, error) {
	for {
		op, err := u.byte()
		if err != nil {
			return nil, err
		}
		if op == '.' {
			return u.pop()
		}
		if err := u.step(op); err != nil {
			return nil, err
		}
	}
}

// step carries out one opcode. See CPython's pickletools for their meaning.
func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := u.byte()
		if err == nil && (v < 2 || v > 5) {
			err = fmt.Errorf("pickle protocol %d is not read, only 2 to 5", v)
		}
		return err
	case 0x95: // FRAME: its length says nothing that the opcodes do not
		_, err := u.bytes(8)
		return err
	case '(':
		u.marks = append(u.marks, len(u.stack))
		return nil
	case '0':
		_, err := u.pop()
		return err
	case '1':
		_, err := u.popMark()
		return err
	case 'N', 0x88, 0x89, 'J', 'K', 'M', 0x8a, 'G':
		return u.scalar(op)
	case 'X', 0x8c, 0x8d, 'B', 'C', 0x8e:
		return u.text(op)
	case ']', '}', ')', 't', 'l', 'd', 0x85, 0x86, 0x87, 'a', 'e', 's', 'u':
		return u.container(op)
	case 'q', 'r', 0x94, 'h', 'j':
		return u.memoize(op)
	case 'c', 0x93:
		return u.global(op)
	case 'R', 0x81, 0x92, 'b':
		return u.build(op)
	}
	return fmt.Errorf("the pickle uses opcode 0x%02x, which describes no plain data", op)
}

// scalar reads numbers, booleans and None.
func (u *unpickler) scalar(op byte) error {
	switch op {
	case 'N':
		return u.push(nil)
	case 0x88, 0x89:
		return u.push(op == 0x88)
	}
	size := map[byte]int{'J': 4, 'K': 1, 'M': 2, 'G': 8, 0x8a: 1}[op]
	b, err := u.bytes(size)
	if err != nil {
		return err
	}
	switch op {
	case 'J':
		return u.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case 'K':
		return u.push(int64(b[0]))
	case 'M':
		return u.push(int64(binary.LittleEndian.Uint16(b)))
	case 'G':
		return u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	return u.long(int(b[0]))
}

// long reads a two's complement number of n bytes.
func (u *unpickler) long(n int) error {
	if n > 8 {
		return fmt.Errorf("a number has %d bytes, at most 8 are read", n)
	}
	b, err := u.bytes(n)
	if err != nil {
		return err
	}
	var x uint64
	for i, c := range b {
		x |= uint64(c) << (8 * i)
	}
	if n > 0 && n < 8 && b[n-1]&0x80 != 0 {
		x |= math.MaxUint64 << (8 * n)
	}
	return u.push(int64(x))
}

// text reads strings and bytes.
func (u *unpickler) text(op byte) error {
	width := map[byte]int{0x8c: 1, 'C': 1, 'X': 4, 'B': 4, 0x8d: 8, 0x8e: 8}[op]
	b, err := u.bytes(width)
	if err != nil {
		return err
	}
	var n uint64
	for i, c := range b {
		n |= uint64(c) << (8 * i)
	}
	if n > maxText {
		return fmt.Errorf("a text has %d bytes, the limit is %d", n, maxText)
	}
	if b, err = u.bytes(int(n)); err != nil {
		return err
	}
	if op == 'X' || op == 0x8c || op == 0x8d {
		return u.push(string(b))
	}
	return u.push(b)
}

// container makes and fills lists, tuples and dictionaries.
func (u *unpickler) container(op byte) error {
	switch op {
	case ']':
		return u.push(&list{})
	case '}':
		return u.push(&dict{})
	case ')':
		return u.push(tuple{})
	case 0x85, 0x86, 0x87:
		items, err := u.popN(int(op - 0x84))
		if err != nil {
			return err
		}
		return u.push(tuple(items))
	case 'a', 's':
		items, err := u.popN(map[byte]int{'a': 1, 's': 2}[op])
		if err != nil {
			return err
		}
		return u.extend(op, items)
	}
	items, err := u.popMark()
	if err != nil {
		return err
	}
	switch op {
	case 't':
		return u.push(tuple(items))
	case 'l':
		return u.push(&list{items})
	case 'd':
		d := &dict{}
		if err := d.fill(items); err != nil {
			return err
		}
		return u.push(d)
	}
	return u.extend(op, items)
}

// extend adds items to the list or dictionary on top of the stack.
func (u *unpickler) extend(op byte, items []any) error {
	if len(u.stack) == 0 {
		return errStack
	}
	switch to := u.stack[len(u.stack)-1].(type) {
	case *list:
		if op == 'a' || op == 'e' {
			to.items = append(to.items, items...)
			return nil
		}
	case *dict:
		if op == 's' || op == 'u' {
			return to.fill(items)
		}
	}
	return errors.New("the pickle is damaged: it adds to what is no list or dictionary")
}

func (d *dict) fill(items []any) error {
	if len(items)%2 != 0 {
		return errors.New("the pickle is damaged: a dictionary has a key without a value")
	}
	for i := 0; i < len(items); i += 2 {
		switch items[i].(type) {
		case string, int64, bool, nil, float64:
		default:
			return fmt.Errorf("a dictionary has %s as key", describe(items[i]))
		}
		d.pairs = append(d.pairs, pair{items[i], items[i+1]})
	}
	return nil
}

// memoize writes to and reads from the memo.
func (u *unpickler) memoize(op byte) error {
	i := len(u.memo)
	if width := map[byte]int{'q': 1, 'h': 1, 'r': 4, 'j': 4}[op]; width > 0 {
		b, err := u.bytes(width)
		if err != nil {
			return err
		}
		if i = int(b[0]); width == 4 {
			i = int(binary.LittleEndian.Uint32(b))
		}
	}
	if op == 'h' || op == 'j' {
		v, ok := u.memo[i]
		if !ok {
			return errMemo
		}
		return u.push(v)
	}
	if len(u.stack) == 0 {
		return errStack
	}
	u.memo[i] = u.stack[len(u.stack)-1]
	return nil
}

// global reads the name of a class or function, if it may be read.
func (u *unpickler) global(op byte) error {
	var g global
	if op == 'c' {
		var err error
		if g.module, err = u.line(); err == nil {
			g.name, err = u.line()
		}
		if err != nil {
			return err
		}
	} else {
		items, err := u.popN(2)
		if err != nil {
			return err
		}
		var ok, ok2 bool
		g.module, ok = items[0].(string)
		if g.name, ok2 = items[1].(string); !ok || !ok2 {
			return errors.New("the pickle is damaged: a name is no text")
		}
	}
	if g = canonical(g); !allowed[g] {
		return fmt.Errorf("it uses %s, which this reader does not know", strconv.Quote(g.String()))
	}
	return u.push(g)
}

func (u *unpickler) push(v any) error {
	if *u.values--; *u.values < 0 {
		return fmt.Errorf("more than %d values", maxValues)
	}
	u.stack = append(u.stack, v)
	return nil
}

// floor is where the values since the last mark begin.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) pop() (any, error) {
	items, err := u.popN(1)
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

func (u *unpickler) popN(n int) ([]any, error) {
	at := len(u.stack) - n
	if at < u.floor() {
		return nil, errStack
	}
	items := append([]any(nil), u.stack[at:]...)
	u.stack = u.stack[:at]
	return items, nil
}

func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errStack
	}
	items, err := u.popN(len(u.stack) - u.floor())
	u.marks = u.marks[:len(u.marks)-1]
	return items, err
}

func (u *unpickler) take(n int) error {
	if n > *u.left {
		return fmt.Errorf("it has more than %d bytes", maxBytes)
	}
	*u.left -= n
	return nil
}

func (u *unpickler) byte() (byte, error) {
	if err := u.take(1); err != nil {
		return 0, err
	}
	b, err := u.in.ReadByte()
	return b, cut(err)
}

func (u *unpickler) bytes(n int) ([]byte, error) {
	if err := u.take(n); err != nil {
		return nil, err
	}
	// What a file claims to have is not allocated before it is there.
	if n <= 1<<16 {
		b := make([]byte, n)
		_, err := io.ReadFull(u.in, b)
		return b, cut(err)
	}
	b, err := io.ReadAll(io.LimitReader(u.in, int64(n)))
	if err == nil && len(b) < n {
		err = io.ErrUnexpectedEOF
	}
	return b, cut(err)
}

func (u *unpickler) line() (string, error) {
	var b []byte
	for {
		c, err := u.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(b), nil
		}
		if b = append(b, c); len(b) > 256 {
			return "", errors.New("a name has more than 256 bytes")
		}
	}
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file is cut off")
	}
	return err
}
