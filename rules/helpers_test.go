package rules

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field/fieldtest"
)

const day = fieldtest.Day

var (
	testNow = fieldtest.Now
	at      = fieldtest.At
	lines   = fieldtest.Lines
)

// get returns the exchange of a GET and a 200 with these fields. Both happen at testNow.
func get(fields ...string) *Exchange {
	return &Exchange{
		Request: httptest.NewRequest(http.MethodGet, "http://example.com/", nil),
		Status:  http.StatusOK, Header: lines(fields...),
		RequestTime: testNow, ResponseTime: testNow,
	}
}

func (x *Exchange) withStatus(status int) *Exchange {
	x.Status = status
	return x
}

func (x *Exchange) withRequest(fields ...string) *Exchange {
	x.Request.Header = lines(fields...)
	return x
}

// stored returns the meta with which p stores x's response. It fails the test if p refuses.
func stored(t *testing.T, p *Policy, x *Exchange) *cirque.CacheMeta {
	t.Helper()
	meta, refusal := p.Store(x)
	require.Nil(t, refusal)
	return meta
}

var (
	shared  = &Policy{}
	private = &Policy{Private: true}
)

// held returns the meta of a stored response with this status and these fields.
func held(status int, fields ...string) *cirque.CacheMeta {
	return cirque.NewCacheMeta(status, lines(fields...), testNow, testNow, 0, 0)
}

// detail returns why p refuses to store x's response, or "" if p stores it.
func detail(t *testing.T, p *Policy, x *Exchange) string {
	t.Helper()
	meta, refusal := p.Store(x)
	require.Equal(t, refusal == nil, meta != nil)
	if refusal == nil {
		return ""
	}
	return refusal.Detail
}

// withErrors stores server errors by their own directives.
var withErrors = &Policy{StoreServerErrors: true}
