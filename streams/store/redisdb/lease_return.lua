-- KEYS: the lease. ARGV: holder, token, channel, group. Returns 1 if it was held.
local lease = redis.call('HMGET', KEYS[1], 'holder', 'token')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'until', '0')
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
