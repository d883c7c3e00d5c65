-- KEYS: the members, by the time at which they are taken to be gone. ARGV: member,
-- milliseconds (0: it leaves), channel, group. Returns how many there are.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ARGV[2] == '0' then
	redis.call('ZREM', KEYS[1], ARGV[1])
else
	redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
end
if (ARGV[2] == '0') == (before ~= false) then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return redis.call('ZCARD', KEYS[1])
