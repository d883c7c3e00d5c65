package rediskeys

import "github.com/redis/go-redis/v9"

// scripts all take the keys keys, used, order, state and the vault's. Repeated, each comes to the
// same; each that changes something writes then, too, so that replicas can be waited
// for. A version comes from the clock as well: it does not come again when a server
// that takes over has lost the last ones.
type scripts struct{ read, add, announce, promote, replace, mark, remove *redis.Script }

const changed = `
local function changed()
	local t = redis.call('TIME')
	local last = tonumber(redis.call('HGET', KEYS[4], 'version') or 0)
	local version = math.max(last + 1, t[1] * 1000000 + t[2])
	redis.call('HSET', KEYS[4], 'version', string.format('%.0f', version))
	return version
end
`

func newScripts() scripts {
	return scripts{
		read: redis.NewScript(`
local current, next, all = redis.call('HGET', KEYS[4], 'current'), redis.call('HGET', KEYS[4], 'next'), {}
for _, kid in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
	all[#all + 1] = kid
	all[#all + 1] = redis.call('HGET', KEYS[1], kid)
	all[#all + 1] = redis.call('HGET', KEYS[2], kid)
	all[#all + 1] = kid == current and '1' or kid == next and '2' or '0'
end
return all`),
		// kid, key, last use, kid before, last use of that, most, 'clear' if it is
		add: redis.NewScript(changed + `
local kid = ARGV[1]
if redis.call('HEXISTS', KEYS[1], kid) == 1 then
	changed()
	return 'ok'
end
local current = redis.call('HGET', KEYS[4], 'current') or ''
if current ~= ARGV[4] then return 'changed' end
if ARGV[7] == 'clear' and redis.call('EXISTS', KEYS[5]) == 1 then return 'sealed' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return 'full' end
if current ~= '' and tonumber(redis.call('HGET', KEYS[2], current)) < tonumber(ARGV[5]) then
	redis.call('HSET', KEYS[2], current, ARGV[5])
end
local next = redis.call('HGET', KEYS[4], 'next')
if next then
	redis.call('HDEL', KEYS[1], next)
	redis.call('HDEL', KEYS[2], next)
	redis.call('ZREM', KEYS[3], next)
	redis.call('HDEL', KEYS[4], 'next')
end
redis.call('ZADD', KEYS[3], changed(), kid)
redis.call('HSET', KEYS[1], kid, ARGV[2])
redis.call('HSET', KEYS[2], kid, ARGV[3])
redis.call('HSET', KEYS[4], 'current', kid)
return 'ok'`),
		// kid, key, last use, current kid, most, 'clear' if it is
		announce: redis.NewScript(changed + `
local kid, next = ARGV[1], redis.call('HGET', KEYS[4], 'next')
if next == kid then
	changed()
	return 'ok'
end
if next or (redis.call('HGET', KEYS[4], 'current') or '') ~= ARGV[4] then return 'changed' end
if ARGV[6] == 'clear' and redis.call('EXISTS', KEYS[5]) == 1 then return 'sealed' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return 'full' end
redis.call('ZADD', KEYS[3], changed(), kid)
redis.call('HSET', KEYS[1], kid, ARGV[2])
redis.call('HSET', KEYS[2], kid, ARGV[3])
redis.call('HSET', KEYS[4], 'next', kid)
return 'ok'`),
		// kid, kid before, last use of both
		promote: redis.NewScript(changed + `
local kid, before, at = ARGV[1], ARGV[2], ARGV[3]
local current = redis.call('HGET', KEYS[4], 'current')
if current == kid then
	changed()
	return 'ok'
end
if current ~= before or redis.call('HGET', KEYS[4], 'next') ~= kid then return 'changed' end
for _, one in ipairs({kid, before}) do
	if tonumber(redis.call('HGET', KEYS[2], one)) < tonumber(at) then redis.call('HSET', KEYS[2], one, at) end
end
redis.call('HDEL', KEYS[4], 'next')
redis.call('HSET', KEYS[4], 'current', kid)
changed()
return 'ok'`),
		// kid, what is there, and what to put there
		replace: redis.NewScript(`
local there = redis.call('HGET', KEYS[1], ARGV[1])
if there ~= ARGV[2] and there ~= ARGV[3] then return 'changed' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'ok'`),
		// kid, last use, ...
		mark: redis.NewScript(`
for i = 1, #ARGV, 2 do
	local was = tonumber(redis.call('HGET', KEYS[2], ARGV[i]))
	if was then
		local at = was < tonumber(ARGV[i + 1]) and ARGV[i + 1] or string.format('%.0f', was)
		redis.call('HSET', KEYS[2], ARGV[i], at)
	end
end
return 'ok'`),
		// kid, latest use or ''
		remove: redis.NewScript(changed + `
local kid = ARGV[1]
local used = tonumber(redis.call('HGET', KEYS[2], kid))
if used and kid == redis.call('HGET', KEYS[4], 'current') then return 'current' end
if used and ARGV[2] ~= '' and used > tonumber(ARGV[2]) then return 'used' end
redis.call('HDEL', KEYS[1], kid)
redis.call('HDEL', KEYS[2], kid)
redis.call('ZREM', KEYS[3], kid)
if kid == redis.call('HGET', KEYS[4], 'next') then redis.call('HDEL', KEYS[4], 'next') end
changed()
return 'ok'`),
	}
}
