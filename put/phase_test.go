package put_test

import (
	"io"
	"testing"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/put"
	"github.com/stretchr/testify/require"
)

// TestEveryMethodInEveryPhase calls every method in every phase.
func TestEveryMethodInEveryPhase(t *testing.T) {
	for phase, reach := range map[put.Phase]func(p *put.Putter){
		put.PhaseHeader:   func(p *put.Putter) {},
		put.PhaseBody:     func(p *put.Putter) { io.WriteString(p, ok+"\r\n") },
		put.PhaseComplete: func(p *put.Putter) { io.WriteString(p, ok+"Content-Length: 0\r\n\r\n") },
		put.PhaseFailed:   func(p *put.Putter) { io.WriteString(p, "nonsense\n\n") },
		put.PhaseStored:   func(p *put.Putter) { io.WriteString(p, ok+"\r\n"); p.Finish() },
		put.PhaseEnded:    func(p *put.Putter) { p.Abort() },
	} {
		ended := phase == put.PhaseStored || phase == put.PhaseEnded
		for op, call := range map[string]func(p *put.Putter){
			"Write":  func(p *put.Putter) { p.Write(nil) },
			"Finish": func(p *put.Putter) { p.Finish() },
			"Abort":  func(p *put.Putter) { p.Abort() },
		} {
			t.Run(phase.String()+"/"+op, func(t *testing.T) {
				p := put.New(t.Context(), newOptions(), key, newRequest(), put.Config{})
				defer p.Abort()
				reach(p)
				require.Equal(t, phase, p.Phase())
				if ended && op != "Abort" {
					require.PanicsWithError(t, "put: Putter."+op+" is not legal in phase "+phase.String(), func() { call(p) })
					require.Equal(t, phase, p.Phase())
					return
				}
				call(p)
				switch {
				case op == "Write" || phase == put.PhaseStored:
					require.Equal(t, phase, p.Phase())
				case op == "Finish" && (phase == put.PhaseBody || phase == put.PhaseComplete):
					require.Equal(t, put.PhaseStored, p.Phase())
				default:
					require.Equal(t, put.PhaseEnded, p.Phase())
				}
			})
		}
	}
	require.Equal(t, "Phase(99)", put.Phase(99).String())
}

func TestErrorsSayWhatHappened(t *testing.T) {
	for want, err := range map[string]error{
		"put: not stored: OriginNotCache: no-store":        &put.NotStoredError{Reason: cirque.OriginNotCache, Detail: "no-store"},
		"put: not stored: PredictedResponseTooLarge":       &put.NotStoredError{Reason: cirque.PredictedResponseTooLarge},
		"put: not stored: StorageError: " + io.EOF.Error(): &put.NotStoredError{Reason: cirque.StorageError, Err: io.EOF},
	} {
		require.EqualError(t, err, want)
	}
}
