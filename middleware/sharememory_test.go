package middleware

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestShareOfMemory(t *testing.T) {
	const machine = "MemTotal:       16000000 kB\nMemFree: 1 kB\n"
	for name, test := range map[string]struct {
		files map[string]string
		share float64
		want  int64
	}{
		"machine":                {map[string]string{"proc/meminfo": machine}, 0.5, 8000000 << 10},
		"container, version 2":   {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000000\n"}, 0.5, 500000},
		"no limit, version 2":    {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0.25, 4000000 << 10},
		"ancestor is the lesser": {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "900000\n", "sys/fs/cgroup/a/b/memory.max": "1000000\n"}, 1, 900000},
		"version 1":              {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "5:cpu:/x\n4:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "800000"}, 0.5, 400000},
		"no limit, version 1":    {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "9223372036854771712"}, 1, 16000000 << 10},
		"more than all":          {map[string]string{"proc/meminfo": machine}, 7, 16000000 << 10},
		"very little":            {map[string]string{"proc/meminfo": "MemTotal: 10 kB"}, 0.1, MinMaxBytes},
		"unknown":                {nil, 0.5, 0},
		"damaged":                {map[string]string{"proc/meminfo": "MemTotal: many kB\n", "proc/self/cgroup": "nonsense\n"}, 0.5, 0},
		"none":                   {map[string]string{"proc/meminfo": machine}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range test.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			require.Equal(t, test.want, shareOfMemory(root, test.share))
		})
	}
}
