package main

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out))
	require.Regexp(t, regexp.MustCompile(`^the first time: +21 °C  Cirque; fwd=uri-miss; fwd-status=200; stored; ttl=\d+
again: +21 °C  Cirque; hit; ttl=\d+
asking for no older answer: +21 °C  Cirque; fwd=request; fwd-status=304; stored; ttl=\d+; detail=request-no-cache
with the API down: +21 °C  Cirque; hit; ttl=\d+
$`), out.String())
}
