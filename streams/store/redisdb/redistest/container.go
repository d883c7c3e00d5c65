package redistest

import (
	"context"
	"fmt"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// image is that of the container: the floor of what is supported, and later.
const image = "redis:7"

// startContainer starts the server in a container, where redis-server is not installed.
// Without Docker the test is skipped, and fails where TOCSIN_CI or CI is set.
func startContainer(t testing.TB, args []string) *Server {
	t.Helper()
	if err := docker(t.Context()); err != nil {
		skip(t, fmt.Sprintf("no Redis: %s is not set, redis-server is not on the PATH (Debian package redis-server), and Docker does not run (%v)", Address, err))
	}
	const port = "6379/tcp"
	c, err := testcontainers.Run(t.Context(), image,
		testcontainers.WithExposedPorts(port),
		testcontainers.WithCmd(append([]string{"redis-server", "--save", "", "--appendonly", "no"}, args...)...),
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForListeningPort(port)))
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatalf("the container of %s: %v", image, err)
	}
	addr, err := c.PortEndpoint(t.Context(), port, "")
	if err != nil {
		t.Fatalf("the container of %s: %v", image, err)
	}
	return &Server{Addr: addr, stop: func() { _ = c.Stop(context.WithoutCancel(t.Context()), nil) }}
}

// docker returns why there is none.
func docker(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil { // how the library tells that it finds no socket
			err = fmt.Errorf("%v", r)
		}
	}()
	provider, err := testcontainers.ProviderDocker.GetProvider()
	if err != nil {
		return err
	}
	return provider.Health(ctx)
}
