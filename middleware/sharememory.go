package middleware

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// ShareOfMemory returns that share, between 0 and 1, of the memory that the process may use, in
// bytes, for Config.MaxBytes: of the limits of its cgroups, which are those of its container, or of
// the memory of the machine if that is less. It returns 0, which selects the default, where it
// cannot tell: on other systems than Linux.
func ShareOfMemory(share float64) int64 { return shareOfMemory(os.DirFS("/"), share) }

func shareOfMemory(root fs.FS, share float64) int64 {
	available := min(machineMemory(root), cgroupMemory(root))
	if available == math.MaxInt64 || !(share > 0) {
		return 0
	}
	return max(int64(float64(available)*min(share, 1)), MinMaxBytes)
}

// machineMemory returns the bytes of memory of the machine, or math.MaxInt64.
func machineMemory(root fs.FS) int64 {
	text, _ := fs.ReadFile(root, "proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err == nil && 0 < kib && kib < math.MaxInt64>>10 {
				return kib << 10
			}
		}
	}
	return math.MaxInt64
}

// cgroupMemory returns the least limit of the cgroups of the process, or math.MaxInt64. A cgroup is
// limited by its ancestors too.
func cgroupMemory(root fs.FS) int64 {
	text, _ := fs.ReadFile(root, "proc/self/cgroup")
	limit := int64(math.MaxInt64)
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(parts) < 3 {
			continue
		}
		top, file := "sys/fs/cgroup", "memory.max" // version 2
		if parts[1] == "memory" {
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes" // version 1
		} else if parts[1] != "" {
			continue
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			value, _ := fs.ReadFile(root, path.Join(top, dir, file))
			if n, err := strconv.ParseInt(strings.TrimSpace(string(value)), 10, 64); err == nil && n > 0 {
				limit = min(limit, n)
			}
			if dir == "/" {
				break
			}
		}
	}
	return limit
}
