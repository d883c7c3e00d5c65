-- Puts what became of an act in its place; what has gone stays so. Repeated it comes to the same.
-- KEYS: acts, index   ARGV: place, digests of the act's keys with commas between, the act.
local ACTS, INDEX = KEYS[1], KEYS[2]
local at, of = string.match(redis.call('HGET', ACTS, ARGV[1]) or '', '^(%d+) (%S+) ')
if not at then return 'gone' end
for name in string.gmatch(of, '[^,]+') do redis.call('ZREM', INDEX, name .. ':' .. ARGV[1]) end
for name in string.gmatch(ARGV[2], '[^,]+') do redis.call('ZADD', INDEX, 0, name .. ':' .. ARGV[1]) end
redis.call('HSET', ACTS, ARGV[1], at .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
return 'ok'
