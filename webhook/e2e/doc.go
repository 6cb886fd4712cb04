// Package e2e holds the end-to-end tests of the webhook: through a real API server, over its certificate, with its
// deployment's own registration.
package e2e
