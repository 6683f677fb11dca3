package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// newLoadRig returns a rig that loads servers. Its operations are URLs, which are its arguments
// after the first. Each is requested over and over on keep-alive connections; the first argument is
// their number. A connection only counts the bytes of an answer, so that the server is what is
// measured.
func newLoadRig(args []string) (*rig, error) {
	connections, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, err
	}
	r := &rig{operations: make(map[string]func(int))}
	for _, target := range args[1:] {
		l := &load{}
		for range connections {
			c, err := newConnection(target)
			if err != nil {
				return nil, err
			}
			l.connections = append(l.connections, c)
		}
		r.operations[target] = l.ask
	}
	return r, nil
}

type load struct{ connections []*connection }

// ask makes n requests.
func (l *load) ask(n int) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for _, c := range l.connections[:min(n, len(l.connections))] {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := c.ask(); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
}

// connection requests one URL again and again. The first request opens it, because servers close
// connections without requests.
type connection struct {
	conn    net.Conn
	host    string
	request []byte
	buffer  []byte
	length  int // of the bodies, from the path
}

func newConnection(target string) (*connection, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	length, err := strconv.Atoi(strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		return nil, fmt.Errorf("the path is not a length: %w", err)
	}
	return &connection{
		host: u.Host,
		request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"+
			"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en-GB,en;q=0.5\r\n\r\n",
			u.RequestURI(), u.Host),
		buffer: make([]byte, 256<<10),
		length: length,
	}, nil
}

// ask makes a request and reads the answer.
func (c *connection) ask() (err error) {
	if c.conn == nil {
		if c.conn, err = net.Dial("tcp", c.host); err != nil {
			return err
		}
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	read := 0
	for {
		n, err := c.conn.Read(c.buffer[read:])
		if err != nil {
			return err
		}
		read += n
		if end := bytes.Index(c.buffer[:read], []byte("\r\n\r\n")); end >= 0 {
			if !bytes.HasPrefix(c.buffer, []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("an answer that begins with %q", c.buffer[:min(end, 60)])
			}
			return c.discard(c.length - (read - end - 4))
		}
	}
}

// discard reads n bytes.
func (c *connection) discard(n int) error {
	for n > 0 {
		read, err := c.conn.Read(c.buffer[:min(n, len(c.buffer))])
		if n -= read; err != nil {
			return err
		}
	}
	if n < 0 {
		return io.ErrShortBuffer // more than was announced
	}
	return nil
}
