package middleware_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty"
)

// However many clients ask for one URL that is not stored, its slow origin is asked once, and the
// last client is done soon after the origin. With CIRQUE_LONG there are ten thousand clients, and
// the origin takes five seconds.
func TestStampedeOfProcessesCausesOneFetch(t *testing.T) {
	children, each, origins := 2, 200, 500*time.Millisecond
	if longTests() {
		children, each, origins = 4, 2500, 5*time.Second
	}
	body := strings.Repeat("0123456789abcdef", 1<<10)
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			origin := faulty.NewOrigin(t, func(*http.Request) faulty.Answer {
				return faulty.Answer{Body: body, Header: http.Header{"Cache-Control": {"max-age=60"}}, Delay: origins}
			})
			// With the default LockWait, the first waiters would give up when the origin answers.
			_, url := startCache(t, cacheTask{Origin: origin.URL, Door: door, LockWait: 6 * origins})
			var reports sync.WaitGroup
			var mu sync.Mutex
			slowest, right := time.Duration(0), 0
			for range children {
				_, output := startChild(t, task{Clients: &clientsTask{URL: url + "/cold", Count: each}})
				reports.Go(func() {
					var report clientsReport
					if err := json.NewDecoder(output).Decode(&report); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					if report.Err != "" || report.Body != body {
						t.Errorf("%d of %d clients got the right answer: %s", report.Right, each, report.Err)
					}
					right += report.Right
					slowest = max(slowest, report.Slowest)
				})
			}
			reports.Wait()
			require.Equal(t, children*each, right)
			require.Equal(t, 1, origin.Total(), "all clients must share one fetch")
			t.Logf("the slowest of %d clients took %v; the origin took %v", right, slowest, origins)
		})
	}
}
