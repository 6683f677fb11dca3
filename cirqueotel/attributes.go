package cirqueotel

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/cirquecache/cirque/stats"
)

// scope is the name of the instrumentation scope.
const scope = "github.com/cirquecache/cirque/cirqueotel"

// The attributes of spans.
const (
	keyCache    = attribute.Key("cirque.cache")     // of metrics too
	keyPhase    = attribute.Key("cirque.phase")     // what a lookup led to: Hit, Stale or Miss
	keyResult   = attribute.Key("cirque.result")    // stats.Result
	keyFwd      = attribute.Key("cirque.fwd")       // why the request went to the origin (RFC 9211 §2.2)
	keyDetail   = attribute.Key("cirque.detail")    // RFC 9211 §2.8
	keyStored   = attribute.Key("cirque.stored")    // the response was, or is being, stored
	keyAge      = attribute.Key("cirque.age")       // of the response, in seconds
	keyTTL      = attribute.Key("cirque.ttl")       // remaining lifetime, in seconds; negative if stale
	keyBodySize = attribute.Key("cirque.body.size") // in bytes
	keyVary     = attribute.Key("cirque.vary")      // the lookup found the list of variants
	keyReason   = attribute.Key("cirque.reason")    // why nothing was stored
	keyLock     = attribute.Key("cirque.lock.status")
	keyWhere    = attribute.Key("cirque.where")              // foreground or background
	keyStatus   = attribute.Key("http.response.status_code") // of the origin
)

// seconds returns d as an attribute, in whole seconds.
func seconds(key attribute.Key, d time.Duration) attribute.KeyValue {
	return key.Int64(int64(d / time.Second))
}

// requestAttributes returns what a request's span is told when the request is over.
func requestAttributes(r *stats.Request) []attribute.KeyValue {
	all := []attribute.KeyValue{keyResult.String(r.Result.String()), keyBodySize.Int64(r.Bytes), keyStored.Bool(r.Stored)}
	if r.Fwd != "" {
		all = append(all, keyFwd.String(r.Fwd))
	}
	if r.Detail != "" {
		all = append(all, keyDetail.String(r.Detail))
	}
	if r.Result.FromCache() {
		all = append(all, seconds(keyAge, r.Age), seconds(keyTTL, r.TTL))
	} else if r.Stored {
		all = append(all, seconds(keyTTL, r.TTL))
	}
	return all
}
