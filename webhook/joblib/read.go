// Package joblib reads scikit-learn pipelines of the study's shape from joblib files and turns them into formulas,
// without running any of the code that such a file can carry.
package joblib

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// ErrRefused is wrapped by the errors of files that hold something else than a pipeline of the known shape.
var ErrRefused = errors.New("not a pipeline that can be imported")

// MaxFileBytes bounds a file.
const MaxFileBytes = 32 << 20

// Name derives a model's name from its file's as the study does: lasso_model_fom.joblib is fom.
func Name(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), ".joblib")
	return strings.ReplaceAll(name, "lasso_model_", "")
}

// Import turns a joblib file into a model. The pipeline may consist of a ColumnTransformer of one-hot encoded labels,
// StandardScaler, PolynomialFeatures, a FunctionTransformer that selects columns, and LinearRegression or Lasso at
// its end. Anything else is refused by its name. The coefficients are worked out with 400 bits, and one that needs more
// than a float64 becomes several terms with the same condition, so that what cancels in the pipeline cancels here.
func Import(data []byte, file, name string, direction compat.Direction) (*predict.Model, error) {
	pipeline, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", file, ErrRefused, err)
	}
	c := converter{work: maxWork}
	if err := c.pipeline(pipeline); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", file, ErrRefused, err)
	}
	m := c.model()
	sum := sha256.Sum256(data)
	m.Name, m.Direction = name, direction
	m.Source = predict.Source{File: filepath.Base(file), SHA256: hex.EncodeToString(sum[:])}
	return predict.NewModel(m)
}

// read unpickles a file, which may be compressed.
func read(data []byte) (any, error) {
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("it has %d bytes, the limit is %d", len(data), MaxFileBytes)
	}
	in, err := decompress(data)
	if err != nil {
		return nil, err
	}
	return newUnpickler(in).load()
}

func decompress(data []byte) (io.Reader, error) {
	in := bytes.NewReader(data)
	for magic, what := range map[string]string{"BZh": "bz2", "\xfd7zXZ": "xz", "\x5d\x00": "lzma", "\x04\x22\x4d\x18": "lz4", "ZF": "an old joblib's format"} {
		if bytes.HasPrefix(data, []byte(magic)) {
			return nil, fmt.Errorf("it is compressed with %s; write it with compress=0, zlib or gzip", what)
		}
	}
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return gzip.NewReader(in)
	case bytes.HasPrefix(data, []byte{0x78}):
		return zlib.NewReader(in)
	case !bytes.HasPrefix(data, []byte{0x80}):
		return nil, errors.New("it is no pickle of protocol 2 or later")
	}
	return bufio.NewReader(in), nil
}
