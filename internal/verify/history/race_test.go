//go:build race

package history

func init() { ordinary = 200 } // the race detector makes ten histories of one
