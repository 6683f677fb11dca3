package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dunglas/httpsfv"
)

// checkCacheStatus checks the last member of Cache-Status, which the cache added (RFC 9211 §2).
// Every answer must say whether it is a hit or was forwarded. A step may require more.
func (r *run) checkCacheStatus(st *Step, v *view, fromCache, other bool) (problems []string) {
	want := st.Sees.CacheStatus
	if other {
		want = st.Sees.OthersSay
	}
	if want == nil {
		// With a dead origin the proxy or the client around the cache answers.
		dead := st.Answer != nil && st.Answer.Dead
		if r.suite.SkipCacheStatus || dead || other || v.status == 504 {
			return nil
		}
		want = []string{"fwd=*", "-hit"}
		if fromCache {
			want = []string{"hit", "-fwd"}
		}
	}
	upstream, own, ok := v.cacheStatus()
	if !ok {
		return []string{fmt.Sprintf("has Cache-Status: %q", v.header.Values("Cache-Status"))}
	}
	if st.Sees.Upstream != nil && !slices.Equal(upstream, st.Sees.Upstream) {
		problems = append(problems, fmt.Sprintf("has %q before its own member of Cache-Status, not %q", upstream, st.Sees.Upstream))
	}
	for _, w := range want {
		if !hasParam(own, r.expand(w)) {
			problems = append(problems, fmt.Sprintf("has Cache-Status: %q without %s", v.header.Values("Cache-Status"), w))
		}
	}
	return problems
}

// cacheStatus returns the parameters of the cache's own member, and the names of the members before
// it.
func (v *view) cacheStatus() (upstream []string, own *httpsfv.Params, ok bool) {
	list, err := httpsfv.UnmarshalList(v.header.Values("Cache-Status"))
	if err != nil || len(list) == 0 {
		return nil, nil, false
	}
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			return nil, nil, false
		}
		upstream = append(upstream, fmt.Sprint(item.Value))
		own = item.Params
	}
	return upstream[:len(upstream)-1], own, true
}

// hasParam reports whether params meet want. "name" must be true; "-name" must be absent or false;
// "name=value" must have the value, "name=*" any value; "name=~60" must be 60 or up to slack less.
func hasParam(params *httpsfv.Params, want string) bool {
	if name, ok := strings.CutPrefix(want, "-"); ok {
		value, there := params.Get(name)
		return !there || value == false
	}
	name, text, hasValue := strings.Cut(want, "=")
	value, there := params.Get(name)
	switch n, about := strings.CutPrefix(text, "~"); {
	case !there:
		return false
	case !hasValue:
		return value == true
	case text == "*":
		return true
	case about:
		return near(fmt.Sprint(value), n, false)
	}
	return fmt.Sprint(value) == text
}
