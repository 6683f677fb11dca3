package eviction

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cirquecache/cirque/eviction"
)

// BenchmarkSaveLoad saves and loads the order of a million entries and reports the size of the
// files.
func BenchmarkSaveLoad(b *testing.B) {
	for _, name := range []string{eviction.Default, "lru"} {
		m, err := eviction.New(name, 2*entries*1000)
		if err != nil {
			b.Fatal(err)
		}
		for n := range uint64(entries) {
			m.Admit(numbered(n), 1000, time.Now().Add(time.Hour), 0)
		}
		dir := b.TempDir()
		b.Run(name+"/save", func(b *testing.B) {
			for b.Loop() {
				if err := m.Save(b.Context(), dir); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(bytesIn(b, dir))/entries, "B/entry")
		})
		b.Run(name+"/load", func(b *testing.B) {
			for b.Loop() {
				empty, err := eviction.New(name, 2*entries*1000)
				if err != nil {
					b.Fatal(err)
				}
				if err := empty.Load(b.Context(), dir); err != nil || empty.TotalItems() != entries {
					b.Fatal(err, empty.TotalItems())
				}
			}
		})
	}
}

func bytesIn(b *testing.B, dir string) (sum int64) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			b.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}
