package put

import (
	"errors"
	"fmt"

	"github.com/cirquecache/cirque"
)

var (
	// ErrMalformed means that the bytes are not a response by RFC 9112. The errors that wrap it
	// give the details.
	ErrMalformed = errors.New("put: malformed response")

	// ErrIncomplete means that the bytes end before the response does, or that the put was aborted.
	ErrIncomplete = errors.New("put: incomplete response")
)

// NotStoredError says why a well-formed response was not stored.
type NotStoredError struct {
	// Reason is OriginNotCache if the rules forbid storing the response, PredictedResponseTooLarge
	// or ResponseTooLarge, Deferred if a purge came in between, or StorageError.
	Reason cirque.NoCacheReason
	// Detail names the rule that forbids it, as [rules.Refusal] does. It is empty if no rule does.
	Detail string
	// Err is the error of the store, or ErrPurged, ErrNotFound or ErrUnlinked of package cirque. It
	// is nil if a rule or Content-Length is the reason.
	Err error
}

// Error implements error.
func (e *NotStoredError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("put: not stored: %s: %v", e.Reason, e.Err)
	case e.Detail != "":
		return fmt.Sprintf("put: not stored: %s: %s", e.Reason, e.Detail)
	}
	return fmt.Sprintf("put: not stored: %s", e.Reason)
}

// Unwrap returns Err.
func (e *NotStoredError) Unwrap() error { return e.Err }

// notStored wraps an error of a fill and finds the reason for it.
func notStored(err error) *NotStoredError {
	reason := cirque.StorageError
	switch {
	case errors.Is(err, cirque.ErrUnlinked):
		reason = cirque.ResponseTooLarge
	case errors.Is(err, cirque.ErrPurged), errors.Is(err, cirque.ErrNotFound):
		reason = cirque.Deferred
	}
	return &NotStoredError{Reason: reason, Err: err}
}
