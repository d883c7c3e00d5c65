package redisdb

import (
	"cmp"
	"context"
	"runtime"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// What a client does unless the URL's parameters say otherwise. A call whose answer is
// lost is sent again, three times, hence scripts that come to the same.
const (
	dialTimeout     = 2 * time.Second
	dialAttempts    = 2 // a server that is away is told of at once: a call dials again anyway
	dialPause       = 50 * time.Millisecond
	answerTimeout   = 3 * time.Second // more than MaxReplicaWait
	maxRetryBackoff = 250 * time.Millisecond
	minPoolSize     = 32 // a write that waits for replicas has its connection meanwhile
	leaseTurns      = 2  // calls about leases at a time
	leasePoolSize   = 8  // of leases alone: nobody waits for a connection that is being made or given back
	clientName      = "tocsin"
)

// Connect returns a client of the URL; it does not connect yet. cluster says that a
// redis:// or rediss:// URL is that of a cluster's node. Errors do not repeat the URL: it
// has a password.
func Connect(url string, cluster bool) (redis.UniversalClient, error) {
	t, err := parse(url, cluster)
	if err != nil {
		return nil, err
	}
	return t.client(nil), nil
}

// client returns a client whose new connections are shown to check first, if it is not nil.
func (t *target) client(check func(ctx context.Context, conn *redis.Conn) error) redis.UniversalClient {
	t.options = new(*t.options) // another client's are its own
	o := t.options
	o.OnConnect = check
	o.ContextTimeoutEnabled = true
	o.ClientName = cmp.Or(o.ClientName, clientName)
	o.DialTimeout = cmp.Or(o.DialTimeout, dialTimeout)
	o.DialerRetries = dialAttempts
	o.DialerRetryTimeout = dialPause
	o.ReadTimeout = cmp.Or(o.ReadTimeout, answerTimeout)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, answerTimeout)
	o.MaxRetryBackoff = cmp.Or(o.MaxRetryBackoff, maxRetryBackoff)
	o.PoolSize = cmp.Or(o.PoolSize, max(minPoolSize, 10*runtime.GOMAXPROCS(0)))
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled} // of hosted Redis Enterprise
	switch t.topology {
	case sentinel:
		return redis.NewFailoverClient(t.failover())
	case cluster:
		return redis.NewClusterClient(t.cluster())
	}
	return redis.NewClient(o)
}

// forLeases returns t with few connections, which are for leases alone: they are renewed
// whatever waits for the others.
func (t *target) forLeases() *target {
	few := *t
	few.options = new(*t.options)
	few.options.PoolSize, few.options.MinIdleConns = leasePoolSize, 0
	few.options.MaxIdleConns, few.options.MaxActiveConns = 0, 0
	return &few
}

func (t *target) failover() *redis.FailoverOptions {
	o := t.options
	return &redis.FailoverOptions{
		MasterName: t.master, SentinelAddrs: t.addrs,
		SentinelUsername: t.secrets.sentinelUser, SentinelPassword: t.secrets.sentinelPassword,

		OnConnect: o.OnConnect, ClientName: o.ClientName, Protocol: o.Protocol,
		Username: o.Username, Password: o.Password, CredentialsProviderContext: o.CredentialsProviderContext, DB: o.DB,
		MaxRetries: o.MaxRetries, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries, DialerRetryTimeout: o.DialerRetryTimeout,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		PipelineReadBufferSize: o.PipelineReadBufferSize, PipelineWriteBufferSize: o.PipelineWriteBufferSize, PipelinePoolSize: o.PipelinePoolSize,
		PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize, MaxConcurrentDials: o.MaxConcurrentDials, PoolTimeout: o.PoolTimeout,
		MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		TLSConfig: o.TLSConfig,
	}
}

func (t *target) cluster() *redis.ClusterOptions {
	o := t.options
	return &redis.ClusterOptions{
		Addrs: t.addrs,

		OnConnect: o.OnConnect, ClientName: o.ClientName, Protocol: o.Protocol,
		Username: o.Username, Password: o.Password, CredentialsProviderContext: o.CredentialsProviderContext,
		MaxRetries: o.MaxRetries, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries, DialerRetryTimeout: o.DialerRetryTimeout,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		PipelineReadBufferSize: o.PipelineReadBufferSize, PipelineWriteBufferSize: o.PipelineWriteBufferSize, PipelinePoolSize: o.PipelinePoolSize,
		PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize, MaxConcurrentDials: o.MaxConcurrentDials, PoolTimeout: o.PoolTimeout,
		MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		TLSConfig: o.TLSConfig, MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}
