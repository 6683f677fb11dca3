//go:build unix

package diskcache

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

const (
	crashDir   = "CIRQUE_CRASH_DIR" // the directory of the child process; if set, this binary is the child
	crashCount = "CIRQUE_CRASHES"   // how many children to kill

	crashKeys  = 40
	crashLimit = 3 << 20
)

var crashConfig = Config{MaxBytes: crashLimit}

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if how := os.Getenv(crashPurge); how != "" {
			purgeAndWait(dir, how)
		}
		underLoad(dir)
	}
	os.Exit(m.Run())
}

// underLoad runs in the child: it writes, overwrites, freshens, reads and purges until it is
// killed.
func underLoad(dir string) {
	s, err := Open(dir, &crashConfig)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				if err := crashStep(s); err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
}

// crashStep does one random operation. It returns an error if a body is wrong.
func crashStep(s *Store) error {
	n := rand.Uint32N(crashKeys)
	key := testKey(name(int(n)))
	switch rand.IntN(10) {
	case 0:
		_ = s.Purge(ctx, key.Compact(), cirque.PurgeInvalidation)
		s.Eviction().Remove(key.Compact())
		return nil
	case 1, 2, 3:
		_, hit, err := s.Lookup(ctx, key)
		if err != nil {
			return nil
		}
		defer hit.Close()
		if rand.IntN(2) == 0 {
			_ = s.UpdateMeta(ctx, key, testMeta(fmt.Sprint("fresh", rand.IntN(1000))), hit.Tag())
			return nil
		}
		got, err := io.ReadAll(hit)
		if err == nil {
			err = checkTale(n, got)
		}
		return err
	}
	sizes := [...]int{10, 3000, 60_000, 100_000, 400_000}
	_, _ = tryPut(s, key, taleBody(n, rand.Uint32(), sizes[rand.IntN(len(sizes))]))
	return nil
}

// TestKilledProcessLeavesGoodEntries kills a process under load several times, and checks what is
// left. CIRQUE_CRASHES is how often.
func TestKilledProcessLeavesGoodEntries(t *testing.T) {
	count := 4
	if n, err := strconv.Atoi(os.Getenv(crashCount)); err == nil {
		count = n
	}
	dir := t.TempDir()
	served, temporary := 0, 0
	for range count {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		cmd.Stderr = cmd.Stdout
		require.NoError(t, cmd.Start())
		ready := make([]byte, 6)
		_, err = io.ReadFull(out, ready)
		require.NoError(t, err)
		require.Equal(t, "ready\n", string(ready))
		time.Sleep(time.Duration(rand.Int64N(int64(150 * time.Millisecond))))
		require.NoError(t, cmd.Process.Kill())
		said, _ := io.ReadAll(out)
		require.Error(t, cmd.Wait())
		require.Empty(t, string(said))

		used, left, err := diskUse(dir)
		require.NoError(t, err)
		require.LessOrEqual(t, used, int64(crashLimit)+2*blockSize, "apart from the lock file and the saved index, the files exceed the limit")
		temporary += len(left)
		served += afterCrash(t, dir)
	}
	require.Positive(t, served)
	t.Logf("%d kills: %d bodies were right, %d temporary files were left and then removed", count, served, temporary)
}

// afterCrash opens the store after a kill, checks every body that it serves, before the scan and
// after it, and returns their number. At random it closes the store or only gives up the lock.
func afterCrash(t *testing.T, dir string) (served int) {
	s := openTest(t, dir, &crashConfig)
	for round := range 2 {
		served = 0
		for n := range uint32(crashKeys) {
			body, err := get(s, testKey(name(int(n))), n%2 == 0)
			if err != nil {
				require.ErrorIs(t, err, cirque.ErrNotFound)
				continue
			}
			require.NoError(t, checkTale(n, body))
			served++
		}
		if round == 0 {
			<-s.Scanned()
		}
	}
	require.Zero(t, s.Stats().Damaged, "a killed process damaged an entry")
	used, temporary, err := diskUse(dir)
	require.NoError(t, err)
	require.Empty(t, temporary)
	require.LessOrEqual(t, used, int64(crashLimit)+blockSize, "apart from the lock file, the files exceed the limit")
	require.LessOrEqual(t, s.Budget().Used(), int64(crashLimit))
	wantBalanced(t, s)
	if rand.IntN(2) == 0 {
		require.NoError(t, s.Close())
	} else {
		crash(t, s)
	}
	return served
}
