//go:build aix || dragonfly || illumos || linux || openbsd || solaris

package diskcache

import "syscall"

func modifyTime(st *syscall.Stat_t) int64 { return int64(st.Mtim.Sec)*1e9 + int64(st.Mtim.Nsec) }

func changeTime(st *syscall.Stat_t) (sec, nsec int64) { return int64(st.Ctim.Sec), int64(st.Ctim.Nsec) }
