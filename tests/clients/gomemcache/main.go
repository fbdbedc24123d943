// Run by foreign.py with host, port and kind of server.  Prints a line for each
// case: "ok name", "not ok name: why" or "skip name: why".
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const (
	limit      = 1 << 20
	multiCount = 100
)

type check struct {
	name string
	run  func(c *memcache.Client) error
}

var kind string

func pattern(size int) []byte {
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(i * 7 % 251)
	}
	return value
}

func same(c *memcache.Client, key string, want []byte) error {
	got, err := c.Get(key)
	if err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	if !bytes.Equal(got.Value, want) {
		return fmt.Errorf("get %s: %d bytes, not those set", key,
			len(got.Value))
	}
	return nil
}

func missing(c *memcache.Client, key string) error {
	_, err := c.Get(key)
	if !errors.Is(err, memcache.ErrCacheMiss) {
		return fmt.Errorf("get %s: %v, not a miss", key, err)
	}
	return nil
}

func set(c *memcache.Client, key string, value []byte, ttl int32) error {
	return c.Set(&memcache.Item{Key: key, Value: value, Expiration: ttl})
}

func storesAndReads(c *memcache.Client) error {
	item := memcache.Item{Key: "go-plain", Value: []byte("value"), Flags: 77}
	if err := c.Set(&item); err != nil {
		return err
	}
	got, err := c.Get("go-plain")
	if err != nil {
		return err
	}
	if got.Flags != 77 || string(got.Value) != "value" {
		return fmt.Errorf("flags %d, value %q", got.Flags, got.Value)
	}
	return missing(c, "go-none")
}

func readsMany(c *memcache.Client) error {
	keys := []string{"go-many-none"}
	for i := 0; i < multiCount; i++ {
		key := fmt.Sprintf("go-many-%d", i)
		keys = append(keys, key)
		if err := set(c, key, []byte(key), 0); err != nil {
			return err
		}
	}
	found, err := c.GetMulti(keys)
	if err != nil {
		return err
	}
	if len(found) != multiCount {
		return fmt.Errorf("%d keys found", len(found))
	}
	for key, item := range found {
		if string(item.Value) != key {
			return fmt.Errorf("%s holds %q", key, item.Value)
		}
	}
	return nil
}

func comparesAndSwaps(c *memcache.Client) error {
	if err := set(c, "go-cas", []byte("one"), 0); err != nil {
		return err
	}
	fresh, err := c.Get("go-cas")
	if err != nil {
		return err
	}
	old := *fresh
	fresh.Value = []byte("two")
	if err := c.CompareAndSwap(fresh); err != nil {
		return err
	}
	old.Value = []byte("three")
	if err := c.CompareAndSwap(&old); !errors.Is(err,
		memcache.ErrCASConflict) {
		return fmt.Errorf("an old token: %v", err)
	}
	return same(c, "go-cas", []byte("two"))
}

func counts(c *memcache.Client) error {
	if err := set(c, "go-count", []byte("10"), 0); err != nil {
		return err
	}
	up, err := c.Increment("go-count", 5)
	if err != nil || up != 15 {
		return fmt.Errorf("increment: %d, %v", up, err)
	}
	down, err := c.Decrement("go-count", 7)
	if err != nil || down != 8 {
		return fmt.Errorf("decrement: %d, %v", down, err)
	}
	return nil
}

func touches(c *memcache.Client) error {
	if err := set(c, "go-touch", []byte("x"), 1); err != nil {
		return err
	}
	if err := c.Touch("go-touch", 100); err != nil {
		return err
	}
	if err := c.Touch("go-none", 1); !errors.Is(err,
		memcache.ErrCacheMiss) {
		return fmt.Errorf("touch of a missing key: %v", err)
	}
	time.Sleep(2200 * time.Millisecond)
	return same(c, "go-touch", []byte("x"))
}

func deletes(c *memcache.Client) error {
	if err := set(c, "go-delete", []byte("x"), 0); err != nil {
		return err
	}
	if err := c.Delete("go-delete"); err != nil {
		return err
	}
	if err := c.Delete("go-delete"); !errors.Is(err,
		memcache.ErrCacheMiss) {
		return fmt.Errorf("a second delete: %v", err)
	}
	return missing(c, "go-delete")
}

func addsAndReplaces(c *memcache.Client) error {
	item := &memcache.Item{Key: "go-add", Value: []byte("x")}
	if err := c.Replace(item); !errors.Is(err, memcache.ErrNotStored) {
		return fmt.Errorf("replace of a missing key: %v", err)
	}
	if err := c.Add(item); err != nil {
		return err
	}
	if err := c.Add(item); !errors.Is(err, memcache.ErrNotStored) {
		return fmt.Errorf("a second add: %v", err)
	}
	return nil
}

func takesSizes(c *memcache.Client) error {
	sizes := []int{0, 1, 100000}
	if kind != "stock" {
		sizes = append(sizes, limit)
	}
	for _, size := range sizes {
		if err := set(c, "go-size", pattern(size), 0); err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
		if err := same(c, "go-size", pattern(size)); err != nil {
			return err
		}
	}
	return nil
}

func refusesBeyondTheLimit(c *memcache.Client) error {
	if err := set(c, "go-beyond", pattern(limit+1), 0); err == nil {
		return errors.New("1 MiB and a byte was stored")
	}
	return missing(c, "go-beyond")
}

func expires(c *memcache.Client) error {
	if err := set(c, "go-short", []byte("x"), 1); err != nil {
		return err
	}
	if err := same(c, "go-short", []byte("x")); err != nil {
		return err
	}
	time.Sleep(2200 * time.Millisecond)
	return missing(c, "go-short")
}

func pings(c *memcache.Client) error { return c.Ping() }

func main() {
	client := memcache.New(os.Args[1] + ":" + os.Args[2])
	client.Timeout = 10 * time.Second
	kind = os.Args[3]
	for _, check := range []check{
		{"pings", pings},
		{"stores and reads, flags with it", storesAndReads},
		{"reads many", readsMany},
		{"compares and swaps", comparesAndSwaps},
		{"counts", counts},
		{"touches", touches},
		{"deletes", deletes},
		{"adds and replaces", addsAndReplaces},
		{"takes sizes", takesSizes},
		{"refuses beyond the limit", refusesBeyondTheLimit},
		{"expires", expires},
	} {
		if err := check.run(client); err != nil {
			fmt.Printf("not ok %s: %v\n", check.name, err)
		} else {
			fmt.Printf("ok %s\n", check.name)
		}
	}
}
