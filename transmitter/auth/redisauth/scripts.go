package redisauth

import "github.com/redis/go-redis/v9"

// keys are the names of all keys, without those of single tokens, calls, clients and
// assertions, which begin with revoked, answer, assertions and assertion.
type keys struct {
	applications, audiences, removed string
	clients, statics, owned, feeds   string
	vendors, places                  string
	webhooks, ownedWebhooks          string
	secrets, state                   string
	revoked, answer                  string
	assertions, assertion            string
}

func keysOf(prefix string) keys {
	root := prefix + ":{admin}:"
	return keys{
		applications: root + "applications", audiences: root + "audiences", removed: root + "removed",
		clients: root + "clients", statics: root + "clients:statics", owned: root + "clients:of", feeds: root + "clients:feeds",
		vendors: root + "vendors", places: root + "vendors:places",
		webhooks: root + "webhooks", ownedWebhooks: root + "webhooks:of",
		secrets: root + "secrets", state: root + "state",
		revoked: root + "revoked:", answer: root + "answer:",
		assertions: root + "assertions:", assertion: root + "assertion:",
	}
}

// all are the keys that a change may touch, the state first. A change names them by
// their places.
func (k *keys) all() []string {
	return []string{
		k.state, k.applications, k.audiences, k.removed, k.clients, k.statics, k.owned, k.feeds,
		k.vendors, k.places, k.webhooks, k.ownedWebhooks,
	}
}

// Places of keys in all, as the script counts them.
const (
	keyState = iota + 1
	keyApplications
	keyAudiences
	keyRemoved
	keyClients
	keyStatics
	keyOwned
	keyFeeds
	keyVendors
	keyPlaces
	keyWebhooks
	keyOwnedWebhooks
)

// scripts keep to one slot. Repeated, each comes to the same, and those that change
// something write then, too, so that replicas can be waited for.
type scripts struct{ commit, holder, revoke, assertion, place, secret *redis.Script }

func newScripts() scripts {
	return scripts{
		// version, life of the answer, 'clear' if a secret is, then kind, place of the key, field, value of each
		// change. A version comes from the clock as well: it does not come again when a
		// server that takes over has lost the last ones.
		commit: redis.NewScript(`
local answer = KEYS[#KEYS]
if redis.call('EXISTS', answer) == 1 then
	redis.call('PEXPIRE', answer, ARGV[2])
	return 'ok'
end
local last = redis.call('HGET', KEYS[1], 'version') or ''
if last ~= ARGV[1] then return 'changed' end
if ARGV[3] == 'clear' and redis.call('EXISTS', KEYS[#KEYS - 1]) == 1 then return 'sealed' end
local t = redis.call('TIME')
local version = string.format('%.0f', math.max((tonumber(last) or 0) + 1, t[1] * 1000000 + t[2]))
for i = 4, #ARGV, 4 do
	local kind, key, field, value = ARGV[i], KEYS[tonumber(ARGV[i + 1])], ARGV[i + 2], ARGV[i + 3]
	if kind == 'put' then redis.call('HSET', key, field, version .. ' ' .. value)
	elseif kind == 'set' then redis.call('HSET', key, field, value)
	elseif kind == 'del' then redis.call('HDEL', key, field)
	elseif kind == 'add' then redis.call('ZADD', key, 0, field)
	elseif kind == 'rem' then redis.call('ZREM', key, field)
	elseif kind == 'now' then redis.call('HSET', key, field, version)
	end
end
redis.call('HSET', KEYS[1], 'version', version)
redis.call('SET', answer, '', 'PX', ARGV[2])
return 'ok'`),

		// client, digest of a static token or '', stamp that is known, jti or ''
		holder: redis.NewScript(`
local id = ARGV[1]
if ARGV[2] ~= '' then id = redis.call('HGET', KEYS[3], ARGV[2]) end
local client = id and redis.call('HGET', KEYS[1], id)
if not client then return 'none' end
local made, application = string.match(client, '^(%d+) (%S+) ')
local owner = redis.call('HGET', KEYS[2], application)
if not owner then return 'none' end
local stamp = string.format('%.0f', math.max(tonumber(made), tonumber(string.match(owner, '^%d+'))))
local revoked = ARGV[4] ~= '' and redis.call('EXISTS', KEYS[4]) or 0
if revoked == 0 and stamp == ARGV[3] then return 'same' end
return {id, client, owner, stamp, revoked}`),

		// milliseconds
		revoke: redis.NewScript(`
redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
return 'ok'`),

		// digest, for how long it is good and is remembered in milliseconds, how many there
		// may be, the call: one that is repeated has not used it before
		assertion: redis.NewScript(`
local by = redis.call('GET', KEYS[2])
if by and by ~= ARGV[5] then return 'used' end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not by and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
local life = tonumber(ARGV[3])
redis.call('SET', KEYS[2], ARGV[5], 'PX', life)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < life then redis.call('PEXPIRE', KEYS[1], life) end
return 'ok'`),

		// name, registration, place
		place: redis.NewScript(`
local vendor = redis.call('HGET', KEYS[1], ARGV[1])
if not vendor or string.match(vendor, '^%d+ (%S+) ') ~= ARGV[2] then return 'none' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return 'ok'`),

		// name, value to keep if there is none
		secret: redis.NewScript(`
local kept = redis.call('HGET', KEYS[1], ARGV[1]) or ARGV[2]
redis.call('HSET', KEYS[1], ARGV[1], kept)
return kept`),
	}
}
