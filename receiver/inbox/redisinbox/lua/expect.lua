-- ARGV from 5: state, ms until it expires, how many there may be.   Answer: ok or full.
redis.call('ZREMRANGEBYSCORE', STATES, '-inf', int(now))
local until_ = now + ARGV[6]
if not redis.call('ZSCORE', STATES, ARGV[5]) and redis.call('ZCARD', STATES) >= tonumber(ARGV[7]) then return 'full' end
redis.call('ZADD', STATES, int(until_), ARGV[5])
local last = redis.call('ZRANGE', STATES, -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIRE', STATES, int(math.max(last - now, 0) + 86400000))
return answered('ok')
