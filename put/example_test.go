package put_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/put"
)

// A response from elsewhere, here a string, is stored under the key that requests for it have.
func Example() {
	opts := &cirque.CacheOptions{Storage: memcache.New(memcache.Config{}), MaxObjectBytes: 1 << 20}
	key := cirque.NewCacheKey("", "http://example.com/news", "")
	request, _ := http.NewRequest(http.MethodGet, "http://example.com/news", nil)

	p := put.New(context.Background(), opts, key, request, put.Config{})
	defer p.Abort() // does nothing after Finish
	wire := strings.NewReader("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nHello")
	if _, err := io.Copy(p, wire); err != nil {
		fmt.Println(err)
	}
	fmt.Println("error:", p.Finish())

	meta, hit, err := opts.Storage.Lookup(context.Background(), key)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hit.Close()
	body, _ := io.ReadAll(hit)
	fmt.Println(meta.StatusCode(), string(body))

	private := put.New(context.Background(), opts, key, request, put.Config{})
	_, err = io.WriteString(private, "HTTP/1.1 200 OK\r\nCache-Control: private\r\n\r\nHello")
	fmt.Println(err)
	private.Abort()
	// Output:
	// error: <nil>
	// 200 Hello
	// put: not stored: OriginNotCache: private
}
