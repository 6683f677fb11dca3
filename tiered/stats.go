package tiered

import (
	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

var _ stats.StorageReporter = (*tier)(nil)

// StorageStats implements [stats.StorageReporter]. It returns what the upper Storage reports, and
// then what the lower one does. A Storage that does not report is left out. If the lower one has a
// name that the upper one has too, "lower-" precedes it.
func (t *tier) StorageStats() []stats.Storage {
	upper, lower := storageStats(t.upper), storageStats(t.lower)
	names := make(map[string]bool)
	for _, s := range upper {
		names[s.Name] = true
	}
	for i := range lower {
		for names[lower[i].Name] {
			lower[i].Name = "lower-" + lower[i].Name
		}
		names[lower[i].Name] = true
	}
	return append(upper, lower...)
}

func storageStats(storage cirque.Storage) []stats.Storage {
	if s, ok := storage.(stats.StorageReporter); ok {
		return s.StorageStats()
	}
	return nil
}
