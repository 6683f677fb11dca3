package memcache

import (
	"testing"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/storagetest"
)

func TestStorage(t *testing.T) {
	storagetest.Run(t, func(testing.TB) cirque.Storage { return New(Config{}) }, storagetest.Features{
		Streaming: true,
		Seeking:   true,
		Budget: func(_ testing.TB, budget *cirque.Budget) cirque.Storage {
			return New(Config{Budget: budget})
		},
	})
}
