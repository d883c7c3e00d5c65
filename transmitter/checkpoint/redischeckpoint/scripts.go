package redischeckpoint

import "github.com/redis/go-redis/v9"

// scripts take the keys of the log's key, checkpoints, their sizes, times, those that
// are not kept, cosignatures by size, and by witness. Repeated, each comes to the same;
// each that changes something writes then, too, so that replicas can be waited for.
//
// A checkpoint is kept as "MADE KEPT ROOT", a newline, and its text.
type scripts struct{ key, replace, add, read, cosign *redis.Script }

func newScripts() scripts {
	return scripts{
		// seed to keep if there is none
		key: redis.NewScript(`
local seed = redis.call('HGET', KEYS[1], 'seed') or ARGV[1]
redis.call('HSET', KEYS[1], 'seed', seed)
return {seed, redis.call('HGET', KEYS[1], 'origin') or ''}`),

		// what is there or '', and what to put there
		replace: redis.NewScript(`
local there = redis.call('HGET', KEYS[1], 'seed') or ''
if there ~= ARGV[1] and there ~= ARGV[2] then return 'other' end
redis.call('HSET', KEYS[1], 'seed', ARGV[2])
return 'ok'`),

		// size, root, made, text, origin, size and root before or '', begin of the hour, an hour ago
		add: redis.NewScript(`
local size, root, made, text, origin = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local kept = '1'
if redis.call('ZRANGEBYSCORE', KEYS[4], ARGV[8], '+inf', 'LIMIT', 0, 1)[1] then kept = '0' end
local function root_of(size)
	return string.match(redis.call('HGET', KEYS[2], size), '^%S+ %d (%x+)\n')
end
local there = redis.call('HGET', KEYS[2], size)
if there then
	if root_of(size) ~= root then return 'fork' end
	if string.match(there, '\n(.*)$') == text then
		redis.call('HSET', KEYS[2], size, there)
		return 'ok'
	end
	kept = string.match(there, '^%S+ (%d)')
end
local last = redis.call('ZRANGE', KEYS[3], -1, -1)[1]
if (last or '') ~= ARGV[6] or last and root_of(last) ~= ARGV[7] then return 'behind' end
if there and string.match(there, '\n([^\n]*)\n') ~= origin then
	local padded = string.rep('0', 20 - #size) .. size
	for by in pairs(cjson.decode(redis.call('HGET', KEYS[6], size) or '{}')) do
		redis.call('ZREM', KEYS[7], (string.gsub(by, '\n', '\n' .. padded .. '\n')))
	end
	redis.call('HDEL', KEYS[6], size)
end
redis.call('HSET', KEYS[2], size, made .. ' ' .. kept .. ' ' .. root .. '\n' .. text)
redis.call('ZADD', KEYS[3], size, size)
redis.call('ZADD', KEYS[4], made, size)
if kept == '0' then redis.call('ZADD', KEYS[5], made, size) end
redis.call('HSET', KEYS[1], 'origin', origin)
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. ARGV[9], 'LIMIT', 0, 256)) do
	if tonumber(old) < tonumber(size) then
		redis.call('HDEL', KEYS[2], old)
		for i = 3, 5 do redis.call('ZREM', KEYS[i], old) end
	end
end
return 'ok'`),

		// how, and what to look for
		read: redis.NewScript(`
local size = ARGV[2]
if ARGV[1] == 'last' then
	size = redis.call('ZRANGE', KEYS[3], -1, -1)[1]
elseif ARGV[1] == 'cosigned' then
	local of = size .. '\n'
	local member = redis.call('ZREVRANGEBYLEX', KEYS[7], '(' .. size .. '\011', '[' .. of, 'LIMIT', 0, 1)[1]
	size = member and string.match(string.sub(member, #of + 1), '^0*(%d+)\n')
end
local there = size and redis.call('HGET', KEYS[2], size)
if not there then return {} end
return {size, there, redis.call('HGET', KEYS[6], size) or ''}`),

		// size, witness and key, line, member of the index
		cosign: redis.NewScript(`
local size = ARGV[1]
local there = redis.call('HGET', KEYS[2], size)
if not there then return 'none' end
local lines = cjson.decode(redis.call('HGET', KEYS[6], size) or '{}')
lines[ARGV[2]] = ARGV[3]
redis.call('HSET', KEYS[6], size, cjson.encode(lines))
redis.call('ZADD', KEYS[7], 0, ARGV[4])
redis.call('ZREM', KEYS[5], size)
redis.call('HSET', KEYS[2], size, (string.gsub(there, '^(%S+) %d', '%1 1', 1)))
return 'ok'`),
	}
}
