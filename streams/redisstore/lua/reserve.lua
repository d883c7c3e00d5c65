-- KEYS: the streams of an owner, by when (ms) their place was reserved; no two alike, so
-- that they have an order. ARGV: stream, limit (0: none).
-- Answer: when it was reserved, '0' if there are as many as may be; then, in that case, the
-- streams with the times.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
if before then
	redis.call('ZREM', KEYS[1], ARGV[1]) -- written anew, for replicas to acknowledge
	redis.call('ZADD', KEYS[1], before, ARGV[1])
	return {before}
end
local limit = tonumber(ARGV[2])
if limit > 0 and redis.call('ZCARD', KEYS[1]) >= limit then
	local answer = {'0', string.format('%.0f', now)}
	for _, v in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')) do answer[#answer + 1] = v end
	return answer
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last then now = math.max(now, tonumber(last) + 1) end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
return {string.format('%.0f', now)}
