//go:build darwin || freebsd || netbsd

package diskcache

import "syscall"

func modifyTime(st *syscall.Stat_t) int64 {
	return int64(st.Mtimespec.Sec)*1e9 + int64(st.Mtimespec.Nsec)
}

func changeTime(st *syscall.Stat_t) (sec, nsec int64) {
	return int64(st.Ctimespec.Sec), int64(st.Ctimespec.Nsec)
}
