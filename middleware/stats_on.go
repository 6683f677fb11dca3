//go:build !cirque_nostats

package middleware

// counting is false in a build that shows what counting costs: the benchmarks compare the two.
const counting = true
