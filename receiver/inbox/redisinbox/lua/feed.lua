-- The number of a feed, given at its first use.
-- KEYS: feeds   ARGV: name, how many there may be
local n = redis.call('HGET', KEYS[1], ARGV[1])
if n then return tonumber(n) end
n = redis.call('HLEN', KEYS[1]) + 1
if n > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], n)
return n
