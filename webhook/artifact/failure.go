package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// failure is an error whose text has nothing that a stranger's server wrote: it ends in a denial, which whoever named
// the server reads.
type failure struct {
	kind  error
	text  string
	cause error
}

func (f *failure) Error() string { return f.kind.Error() + ": " + f.text }

func (f *failure) Unwrap() []error { return []error{f.kind, f.cause} }

// unavailable wraps what a registry, or the way to it, answered.
func unavailable(ref string, err error) error {
	return &failure{ErrUnavailable, fmt.Sprintf("%s: %s; %s", ref, describe(err), advice(err)), err}
}

// Reason is what a registry, or the way to it, answered, without the advice for whoever runs the webhook.
func Reason(err error) string {
	var f *failure
	if errors.As(err, &f) && f.cause != nil {
		return describe(f.cause)
	}
	return err.Error()
}

func wantsCredentials(err error) bool {
	return errors.Is(err, auth.ErrBasicCredentialNotFound) || refused(err)
}

// advice says what to do about an error.
func advice(err error) string {
	text := err.Error()
	var resp *errcode.ErrorResponse
	switch {
	case errors.Is(err, ErrNotAllowed):
		return "name it with --allow-registry if it is yours"
	case wantsCredentials(err):
		return "the registry asks for credentials that the webhook does not have, or does not accept those it has"
	case errors.Is(err, errdef.ErrNotFound):
		return "check the name, or push it first"
	case errors.Is(err, http.ErrSchemeMismatch), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "the registry speaks HTTP without TLS; name it with --plain-http"
	case strings.Contains(text, "x509:"), strings.Contains(text, "tls:"):
		return "check the registry's certificate, and the authorities that the webhook trusts"
	case errors.As(err, &resp) && resp.StatusCode == http.StatusBadRequest && resp.URL != nil && resp.URL.Scheme == "http":
		return "if the registry speaks TLS, take it off the list of --plain-http"
	}
	return "check that the registry is up and reachable from the webhook"
}

// describe writes an error without the words of the server that it is about.
func describe(err error) string {
	var many *multierror.Error
	if errors.As(err, &many) {
		texts := make([]string, len(many.Errors))
		for i, e := range many.Errors {
			texts[i] = describe(e)
		}
		return strings.Join(texts, "; ")
	}
	var resp *errcode.ErrorResponse
	if errors.As(err, &resp) {
		host := "the registry"
		if resp.URL != nil {
			host = resp.URL.Host
		}
		text := fmt.Sprintf("%s answers %d %s", host, resp.StatusCode, http.StatusText(resp.StatusCode))
		for _, e := range resp.Errors {
			if slices.Contains(codes, e.Code) {
				text += ", " + e.Code
			}
		}
		return text
	}
	var syntax *json.SyntaxError
	var shape *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &shape) {
		return "the answer is not the JSON that was expected"
	}
	text := err.Error()
	if len(text) > 400 {
		text = text[:400] + "..."
	}
	return text
}

// codes are those of the distribution specification.
var codes = []string{
	errcode.ErrorCodeBlobUnknown, errcode.ErrorCodeBlobUploadInvalid, errcode.ErrorCodeBlobUploadUnknown, errcode.ErrorCodeDigestInvalid,
	errcode.ErrorCodeManifestBlobUnknown, errcode.ErrorCodeManifestInvalid, errcode.ErrorCodeManifestUnknown, errcode.ErrorCodeNameInvalid,
	errcode.ErrorCodeNameUnknown, errcode.ErrorCodeSizeInvalid, errcode.ErrorCodeUnauthorized, errcode.ErrorCodeDenied, errcode.ErrorCodeUnsupported, "TOOMANYREQUESTS",
}

func inOneLine(list []error) string {
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}
