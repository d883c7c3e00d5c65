package redis_test

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/redis"
	"github.com/tocsin-ssf/tocsin/set/caep"
)

// Sessions of an application that keeps a sorted set of each user's keys.
func Example() {
	hook, err := redis.New(redis.Config{
		URL:        "redis://127.0.0.1:6379/0",
		SortedSets: []string{"user-sessions:{user.email}"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := receiver.NewMux() // of the application's receiver.Config
	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, hook))
	fmt.Println(hook.Close())
	// Output: <nil>
}
