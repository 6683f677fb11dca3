package field

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidHeader(t *testing.T) {
	require.True(t, ValidHeader(http.Header{"A": {"b\tc \x80\xff"}, "B": {""}}))
	for _, value := range []string{"a\rb", "a\nb", "a\x00b", "a\x01b", "a\x7fb"} {
		require.False(t, ValidHeader(http.Header{"A": {"fine", value}}), "%q", value)
	}
	for _, name := range []string{"", "a b", "a:b", "a\n", "ä"} {
		require.False(t, ValidHeader(http.Header{name: {"x"}}), "%q", name)
	}
}
