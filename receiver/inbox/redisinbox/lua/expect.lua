-- ARGV from 3: state, ms until it expires, how many there may be.   Answer: ok or full.
redis.call('ZREMRANGEBYSCORE', STATES, '-inf', int(now))
local until_ = now + ARGV[4]
if not redis.call('ZSCORE', STATES, ARGV[3]) and redis.call('ZCARD', STATES) >= tonumber(ARGV[5]) then return 'full' end
redis.call('ZADD', STATES, int(until_), ARGV[3])
local last = redis.call('ZRANGE', STATES, -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIRE', STATES, int(math.max(last - now, 0) + 86400000))
return answered('ok')
